"""PageContext: the service, the feed of events and the shared topics of all pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import anyio
from fastapi import Request

from api.rest.sse import Feed
from api.ui.live.cluster_view import ClusterReader
from api.ui.live.curves import CurveStore
from api.ui.live.job_list import JobListReader, JobListView
from api.ui.live.job_view import JobReader, JobView
from api.ui.live.log_tail import LOG_SECONDS, LogReader, LogTail
from api.ui.live.topics import Topic, TopicReader
from api.ui.live.trial_view import TrialReader, TrialView
from api.ui.session import Visitor, secret_of
from api.ui.tables.rows import Rows
from searchsvc.domain import Job, Trial
from searchsvc.service.service import Service
from searchsvc.service.system.cluster import Cluster
from searchsvc.service.system.tokens import Scope, require

JOB_LIST = "jobs"
"""Name of the topic of all jobs; every other topic has the id of its job as its name."""

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

SLOW_AT_ONCE = 2
"""Maximal number of slow calls at the same time, over all pages: each occupies a CPU core for seconds."""


class PageContext:
    """The shared state of all pages. It lives on a single event loop; calls of the service run in threads."""

    def __init__(self, service: Service, feed: Feed) -> None:
        self.service, self._feed = service, feed
        self._slow = anyio.CapacityLimiter(SLOW_AT_ONCE)
        self.job_list: Topic[JobListView] = Topic(feed, None, JobListReader(service))
        self.cluster: Topic[Cluster] = Topic(feed, None, ClusterReader(service))
        self._jobs: dict[str, Topic[JobView]] = {}
        self._curves: dict[str, CurveStore] = {}

    async def call(self, function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Run a function in a thread."""
        return await self._feed.in_thread(lambda: function(*arguments, **named))

    async def call_slow(self, function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Run a function that takes seconds in a thread, without delaying other calls."""
        return await anyio.to_thread.run_sync(lambda: function(*arguments, **named), limiter=self._slow)

    async def visitor(self, request: Request) -> Visitor:
        """Identify the visitor of a request. Raises Unauthenticated."""
        secret = secret_of(request)
        return Visitor(secret or "", await self.call(self.service.access.authenticate, secret))

    async def admit(self, visitor: Visitor, scope: Scope) -> None:
        """Check the current scope of the visitor's token. Raises Unauthenticated, Forbidden."""
        require(await self.call(self.service.access.authenticate, visitor.secret), scope)

    def job(self, job_id: str) -> Topic[JobView]:
        """Return the topic of a job, shared by all pages that show the job."""
        for other, topic in list(self._jobs.items()):
            if not topic.is_watched and other != job_id:
                del self._jobs[other]
                self._curves.pop(other, None)
        if job_id not in self._jobs:
            reader = JobReader(self.service, job_id)
            self._jobs[job_id] = Topic(self._feed, job_id, reader, is_whole=lambda view: view.is_whole)
        return self._jobs[job_id]

    async def rows(self, topic: str) -> Rows:
        """Return the table rows of a topic once it has been read. Raises NotFound, StoreUnavailable."""
        shown: Topic[JobListView] | Topic[JobView] = self.job_list if topic == JOB_LIST else self.job(topic)
        return (await shown.current()).rows

    def topic(self, reader: TopicReader[T]) -> Topic[T]:
        """Create a topic for a single page; it may concern any number of jobs."""
        return Topic(self._feed, None, reader)

    def curves(self, job_id: str, most: int) -> CurveStore:
        """Return the store of a job's learning curves, at most `most`, shared by all pages that show the job."""
        return self._curves.setdefault(job_id, CurveStore(self.service, most))

    def log(self, job: Job, trial: Trial) -> Topic[LogTail]:
        """Create a topic of a trial's log for a single page. Read at intervals: logs grow without events."""
        return Topic(self._feed, job.id, LogReader(self.service, trial.id), beat_seconds=LOG_SECONDS)

    def trial(self, job: Job, trial: Trial) -> Topic[TrialView]:
        """Create a topic of a trial for a single page."""
        return Topic(self._feed, job.id, TrialReader(self.service, trial.id, job.spec))


def page_context_of(request: Request) -> PageContext:
    context: PageContext = request.app.state.page_context
    return context

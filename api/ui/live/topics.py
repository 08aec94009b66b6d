"""Topics: data that many pages show, read once for all of them after events."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from api.rest.sse import Feed, Subscriber
from searchsvc.domain import Event
from searchsvc.errors import SearchsvcError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

BEAT_SECONDS = 5.0
"""Interval of reading without events, for values such as the remaining time."""
GAP_SECONDS = 0.5
"""Minimal time between two reads of a topic, however many events arrive."""
SHARE_SECONDS = 0.02
"""Pause between the updates of two pages. It leaves the event loop time for other work; the more pages, the less often
each is updated.
"""
LATE_SECONDS = 3.0
"""Time after which pages report that reading is slow."""
RETRY_SECONDS = 5.0
"""Pause after an unexpected error; then everything is read again."""

_log = logging.getLogger(__name__)


class Late(SearchsvcError):
    """A read is still in progress."""


class Unreadable(SearchsvcError):
    """A read failed with an unexpected error, which is in the log."""


class TopicReader(Protocol[T_co]):
    """Reader of a topic, which updates its state from events. Called in threads, never concurrently."""

    def read(self, events: Sequence[Event] | None) -> T_co:
        """Return a view after these events. None: read everything again."""
        ...


@dataclass(eq=False, slots=True)
class Watcher(Generic[T]):
    """Subscription of a page to a topic: the newest view, and whether the page has seen it."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    view: T | None = None
    problem: SearchsvcError | None = None
    """Error that keeps `view` from being updated."""
    at: float = 0.0
    """Time at which `view` was read, in Unix seconds."""

    async def next(self) -> None:
        """Wait for a view or a problem that this page has not seen."""
        await self.changed.wait()
        self.changed.clear()


class Topic(Generic[T]):
    """Data about a job, or about all jobs if `job_id` is None."""

    def __init__(
        self,
        feed: Feed,
        job_id: str | None,
        reader: TopicReader[T],
        *,
        beat_seconds: float = BEAT_SECONDS,
        is_whole: Callable[[T], bool] = lambda _: True,
    ) -> None:
        """Create a topic. `is_whole`: False for a first, partial view, after which the next is read at once."""
        self._feed, self._job_id, self._reader, self._beat_seconds = feed, job_id, reader, beat_seconds
        self._is_whole = is_whole
        self._watchers: set[Watcher[T]] = set()
        self._task: asyncio.Task[None] | None = None
        self._latest: Watcher[T] = Watcher()

    @property
    def is_watched(self) -> bool:
        return bool(self._watchers)

    @contextmanager
    def watched(self) -> Iterator[Watcher[T]]:
        """Subscribe to all changes from now on; the latest view is delivered at once if it has been read."""
        watcher: Watcher[T] = Watcher()
        self._watchers.add(watcher)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="topic of a page")
        elif self._latest.view is not None:
            self._hand(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def current(self) -> T:
        """Return the latest view, after reading it if necessary. Raises the error that keeps it from being read."""
        with self.watched() as watcher:
            while watcher.view is None:
                await watcher.next()
                if watcher.view is None and watcher.problem is not None and not isinstance(watcher.problem, Late):
                    raise watcher.problem
            return watcher.view

    async def _run(self) -> None:
        """Read until the last page is closed, whatever fails."""
        while self._watchers:
            try:
                await self._listen()
            except SearchsvcError as error:
                await self._fail(error)
            except Exception as error:  # noqa: BLE001 - pages that silently stop updating would be worse
                _log.exception("a page cannot be read")
                await self._fail(Unreadable(f"Reading failed ({type(error).__name__}); see the service's log"))

    async def _fail(self, error: SearchsvcError) -> None:
        self._latest.problem = error
        await self._hand_to_all()
        await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        async with self._feed.listening(self._job_id) as client:
            client.missed = True
            while self._watchers:
                await self._read(client)
                await self._hand_to_all()
                await asyncio.sleep(GAP_SECONDS)
                if self._latest.view is None or self._is_whole(self._latest.view):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(client.arrived.wait(), self._beat_seconds)

    async def _hand_to_all(self) -> None:
        for watcher in list(self._watchers):
            self._hand(watcher)
            await asyncio.sleep(SHARE_SECONDS)

    async def _read(self, client: Subscriber) -> None:
        events = [frame.event for frame in client.take()]
        everything, client.missed = client.missed, False
        reading = asyncio.ensure_future(self._feed.in_thread(lambda: self._reader.read(None if everything else events)))
        try:
            if not (await asyncio.wait((reading,), timeout=LATE_SECONDS))[0]:
                self._latest.problem = Late("The database is slow to answer")
                for watcher in self._watchers:
                    self._hand(watcher)
            self._latest.view = await reading
            self._latest.problem, self._latest.at = None, time.time()
        except SearchsvcError as error:
            self._latest.problem, client.missed = error, True

    def _hand(self, watcher: Watcher[T]) -> None:
        watcher.view, watcher.problem, watcher.at = self._latest.view, self._latest.problem, self._latest.at
        watcher.changed.set()

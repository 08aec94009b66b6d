"""ServiceContext: the objects that all use cases share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from searchsvc.domain import Job, Trial, is_id
from searchsvc.service.lookup import references
from searchsvc.service.results.memo import Memo
from searchsvc.service.system.children import ChildProcesses
from searchsvc.settings import Settings
from searchsvc.store import Store

DEFAULT_PAGE_SIZE = 50


@dataclass(slots=True)
class ServiceContext:
    """The store, the settings, the clock and the cache.

    A job is referred to by its id, by its name (the newest job of that name), or by the beginning of its id (four
    characters or more, if only a single job matches); a trial by its id or as JOB/NUMBER.
    """

    store: Store
    settings: Settings
    clock: Callable[[], float]
    memo: Memo
    children: ChildProcesses | None = None
    """Processes for heavy work; None: it is done in this process."""

    def job(self, reference: str) -> Job:
        """Find a job. Raises NotFound, and Conflict if several ids begin with the reference."""
        return references.find_job(self.store, reference)

    def job_id(self, reference: str) -> str:
        """Find the id of a job. A complete id is returned unchanged, whether or not the job exists."""
        return reference if is_id(reference) else self.job(reference).id

    def trial(self, reference: str) -> Trial:
        """Find a trial. Raises NotFound."""
        return references.find_trial(self.store, reference)

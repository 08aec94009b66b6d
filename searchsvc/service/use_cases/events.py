"""Events: the history of all jobs, in the order of their sequence numbers."""

from __future__ import annotations

from searchsvc.domain import Event
from searchsvc.service.use_cases.context import DEFAULT_PAGE_SIZE, ServiceContext


class EventService:
    """The use cases of events."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._store = context.store

    def read(self, *, after: int = 0, job_id: str | None = None, limit: int = 1000) -> list[Event]:
        """Read events with a sequence number above `after`, in order; of a single job, or of all jobs."""
        return self._store.events(after=after, job_id=self._context.job_id(job_id) if job_id else None, limit=limit)

    def latest(self, job_id: str, limit: int = DEFAULT_PAGE_SIZE) -> list[Event]:
        """Read the last events of a job, in order."""
        return self._store.latest_events(self._context.job(job_id).id, limit)

    def last_sequence(self) -> int:
        """Return the sequence number of the newest event; 0 before the first."""
        return self._store.last_sequence()

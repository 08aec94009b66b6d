"""JobListReader: all jobs with where they stand, as the jobs page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from api.ui.tables.rows import Rows, RowStore, job_row
from searchsvc.domain import Event
from searchsvc.errors import NotFound
from searchsvc.service.results.standing import JobStanding
from searchsvc.service.service import Service

MOST_JOBS = 500
"""The newest; of more, the page says that there are more."""


@dataclass(frozen=True, slots=True)
class JobListView:
    """The newest jobs by id, the newest first."""

    jobs: Mapping[str, JobStanding]
    there_are_more: bool
    rows: Rows
    """What the table of jobs shows."""


@dataclass(slots=True)
class JobListReader:
    """Reads a job again only when something happened to it, or while it is not over."""

    service: Service
    _known: dict[str, JobStanding] = field(default_factory=dict)
    _more: bool = False
    _rows: RowStore[str, JobStanding] = field(default_factory=RowStore)

    def read(self, events: Sequence[Event] | None) -> JobListView:
        """Raises StoreUnavailable."""
        if events is None:
            page = self.service.jobs.page(page_size=MOST_JOBS)
            self._more = page.next_page_token is not None
            wanted = {job.id for job in page.items}
            self._known = {one: known for one, known in self._known.items() if one in wanted}
        else:
            wanted = {event.job_id for event in events}
            wanted |= {one for one, known in self._known.items() if not known.job.state.is_final}
        for job_id in wanted:
            self._read(job_id)
        newest = sorted(self._known, reverse=True)[:MOST_JOBS]
        jobs = {one: self._known[one] for one in newest}
        return JobListView(jobs, self._more or len(self._known) > MOST_JOBS, self._rows.update(jobs, job_row))

    def _read(self, job_id: str) -> None:
        try:
            self._known[job_id] = self.service.results.standing(job_id)
        except NotFound:
            self._known.pop(job_id, None)

"""JobListReader: all jobs with their progress, as the jobs page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from api.ui.tables.rows import Rows, RowStore, job_row
from searchsvc.domain import Event
from searchsvc.errors import NotFound
from searchsvc.service.results.standing import JobStanding
from searchsvc.service.service import Service

MOST_JOBS = 500
"""Maximal number of jobs: the newest. The page says if there are more."""


@dataclass(frozen=True, slots=True)
class JobListView:
    """The newest jobs by id, the newest first."""

    jobs: Mapping[str, JobStanding]
    there_are_more: bool
    rows: Rows
    """Rows of the table of jobs."""


@dataclass(slots=True)
class JobListReader:
    """Reader of all jobs. A job is read again only if an event names it or if it has not ended."""

    service: Service
    _standings: dict[str, JobStanding] = field(default_factory=dict)
    _more: bool = False
    _rows: RowStore[str, JobStanding] = field(default_factory=RowStore)

    def read(self, events: Sequence[Event] | None) -> JobListView:
        """Read the jobs. Raises StoreUnavailable."""
        if events is None:
            page = self.service.jobs.page(page_size=MOST_JOBS)
            self._more = page.next_page_token is not None
            job_ids = {job.id for job in page.items}
            self._standings = {one: standing for one, standing in self._standings.items() if one in job_ids}
        else:
            job_ids = {event.job_id for event in events}
            job_ids |= {one for one, standing in self._standings.items() if not standing.job.state.is_final}
        for job_id in job_ids:
            self._read(job_id)
        newest = sorted(self._standings, reverse=True)[:MOST_JOBS]
        jobs = {one: self._standings[one] for one in newest}
        return JobListView(jobs, self._more or len(self._standings) > MOST_JOBS, self._rows.update(jobs, job_row))

    def _read(self, job_id: str) -> None:
        try:
            self._standings[job_id] = self.service.results.standing(job_id)
        except NotFound:
            self._standings.pop(job_id, None)

"""The list of jobs, which follows their events."""

from __future__ import annotations

import pytest

from api.ui.live.job_list import JobListReader
from api.ui.live.job_view import JobReader
from searchsvc.errors import NotFound
from searchsvc.service.service import Service
from searchsvc.store import Store
from tests.support.pages import Running


def test_the_list_of_jobs_reads_no_results(service: Service, search: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "results", None)
    standing = JobListReader(service).read(None).jobs[search.id]
    assert standing.best is not None
    assert standing == service.results.standing(search.id)


def test_the_list_of_jobs_forgets_a_job_that_was_deleted(service: Service, search: Running) -> None:
    job_list, reader = JobListReader(service), JobReader(service, search.id)
    search.finish()
    assert list(job_list.read(None).jobs) == [search.id]
    after = service.events.last_sequence()
    service.jobs.delete(search.id)
    assert list(job_list.read(service.events.read(after=after)).jobs) == []
    with pytest.raises(NotFound):
        reader.read([])

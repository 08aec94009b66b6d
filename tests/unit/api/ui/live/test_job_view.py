"""Views of a job, which follow its events."""

from __future__ import annotations

import pytest

from api.ui.charts import results as charts
from api.ui.live import job_view
from api.ui.live.job_view import JobReader
from searchsvc.service.service import Service
from tests.support.pages import Running


def test_following_events_shows_what_reading_everything_shows(service: Service, search: Running) -> None:
    reader = JobReader(service, search.id)
    before = reader.read(None)
    after = before.events[0].sequence
    number = search.propose()
    search.start(number)
    search.measure(number, 1, 0.5)
    search.measure(number, 2, 0.6)
    search.end(number)
    search.flush()
    followed = reader.read(service.events.read(after=after, job_id=search.id))
    assert followed == JobReader(service, search.id).read(None)
    assert followed.curves[number] == ((1, 0.5), (2, 0.6))
    assert number not in before.trials


def test_the_first_picture_has_the_newest_trials_and_the_next_one_all(
    service: Service, search: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = JobReader(service, search.id).read(None)
    monkeypatch.setattr(job_view, "PAGE", 4)
    reader = JobReader(service, search.id)
    first = reader.read(None)
    assert (whole.is_whole, first.is_whole) == (True, False)
    assert set(first.trials) >= {13, 12, 11, 10} | first.front
    assert len(first.trials) < first.total == 14
    assert charts.best_so_far(first) == charts.best_so_far(whole)
    assert reader.read([]) == whole
    assert reader.read(None).is_whole


def test_a_sample_is_drawn_anew_when_the_front_moves(
    service: Service, search: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_view, "MOST_POINTS", 1)
    monkeypatch.setattr(job_view, "PAUSE_SECONDS", 0.0)
    reader = JobReader(service, search.id)
    before = reader.read(None)
    assert reader.read([]).chart_version == before.chart_version
    number = search.propose(flops=1.0)
    search.start(number)
    search.measure(number, 1, 1.0)
    search.end(number)
    search.flush()
    after = reader.read(service.events.read(after=before.events[0].sequence, job_id=search.id))
    assert (after.front, after.chart_version) == ({number}, before.chart_version + 1)

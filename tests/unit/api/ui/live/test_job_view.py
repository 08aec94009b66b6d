"""Views of jobs and trials, which follow the events of a job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.ui.charts import results as charts
from api.ui.charts import rounds, supernet
from api.ui.live import job_view
from api.ui.live.job_list import JobListReader
from api.ui.live.job_view import JobReader
from api.ui.parts.event_text import describe_event
from api.ui.parts.funnel import epochs_saved, funnel
from searchsvc.domain import Event
from searchsvc.errors import NotFound
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.pages import EPOCHS, Running, a_search, record_rounds
from tests.support.supernets import a_job_with_a_supernet


@pytest.fixture
def service(tmp_path: Path, sqlite_url: str) -> Iterator[Service]:
    store = Store.open(sqlite_url)
    yield Service(store, Settings(data_dir=tmp_path / "data", database_url=sqlite_url).prepare())
    store.close()


@pytest.fixture
def search(service: Service) -> Running:
    return a_search(service, 12)


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


def test_the_board_looks_at_no_results(service: Service, search: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "results", None)
    standing = JobListReader(service).read(None).jobs[search.id]
    assert standing.best is not None
    assert standing == service.results.standing(search.id)


def test_the_funnel_adds_up(service: Service, search: Running) -> None:
    view = JobReader(service, search.id).read(None)
    stages = {one.name: one.count for one in funnel(view.summary)}
    assert stages["proposed"] == 14 + sum(number % 3 for number in range(14))
    assert (stages["started"], stages["stopped early"], stages["failed"], stages["trained in full"]) == (13, 2, 1, 9)
    assert epochs_saved(view.trials.values(), view.spec) == (2 * (EPOCHS - 2), 11 * EPOCHS)


def test_the_board_forgets_a_job_that_was_deleted(service: Service, search: Running) -> None:
    board, reader = JobListReader(service), JobReader(service, search.id)
    search.finish()
    assert list(board.read(None).jobs) == [search.id]
    after = service.events.last_sequence()
    service.jobs.delete(search.id)
    assert list(board.read(service.events.read(after=after)).jobs) == []
    with pytest.raises(NotFound):
        reader.read([])


def test_charts_draw_the_limit_and_leave_out_what_breaks_it(service: Service, search: Running) -> None:
    view = JobReader(service, search.id).read(None)
    feasible, broken, front = charts.front(view, "flops")["series"]
    assert front["markLine"]["data"] == [{"xAxis": 5e5}]
    assert {point[0] <= 5e5 for point in feasible["data"] + front["data"]} == {True}
    assert {point[0] > 5e5 for point in broken["data"]} == {True}
    assert {point[2] for point in front["data"]} == view.front
    best = [value for _, value in charts.best_so_far(view)["series"][1]["data"]]
    assert best == sorted(best)


def test_quality_is_drawn_where_something_was_predicted(service: Service, search: Running) -> None:
    assert rounds.quality(service.results.rounds(search.id)) is None
    record_rounds(search, 3)
    drawn = rounds.quality(service.results.rounds(search.id))
    assert drawn is not None
    assert [point[0] for point in drawn["series"][0]["data"]] == [1, 2]


def test_what_was_predicted_is_drawn_against_what_was_measured(service: Service, search: Running) -> None:
    assert rounds.predictions(service.results.rounds(search.id), "accuracy") is None
    record_rounds(search, 3)
    drawn = rounds.predictions(service.results.rounds(search.id), "accuracy")
    assert drawn is not None
    earlier, latest, equal = (one["data"] for one in drawn["series"])
    assert (len(earlier), len(latest)) == (8, 8)
    assert latest[0] == [0.8, 0.79]
    assert equal == [[0.79, 0.79], [0.874, 0.874]]


def test_distributions_have_a_cell_for_every_option(service: Service) -> None:
    job = a_job_with_a_supernet(service.store)
    view = JobReader(service, job.id).read(None)
    assert view.distributions is not None
    cells = supernet.distributions(view.distributions)["series"][0]["data"]
    assert sorted({one["value"][1] for one in cells}) == [0, 1, 2]
    assert len(cells) == 3 + 2 + 3


def test_every_event_has_words(service: Service, search: Running) -> None:
    record_rounds(search, 1)
    service.jobs.pause(search.id)
    events = service.events.latest(search.id, 300)
    said = {event.kind: describe_event(event, 3, search.job.spec) for event in events}
    assert said["trial.finished"].startswith("trial 3 ")
    assert said["trial.proposed"] == "trial 3 was proposed"
    assert "early_stop_epoch=3" in said["round.finished"]
    stops = [event for event in events if event.data.get("state") == "STOPPED"]
    assert "asha: below the best third" in describe_event(stops[0], 6, search.job.spec)


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("job.succeeded", {"trials_cancelled": 0}, "the job succeeded"),
        ("job.cancelled", {"trials_cancelled": 2}, "the job was cancelled: cancelled 2 trials"),
        (
            "job.failed",
            {"reason": "lost", "trials_cancelled": 1},
            "the job failed: lost, cancelled 1 trial",
        ),
        ("job.queued", {}, "the job waits for a driver"),
    ],
)
def test_the_end_of_a_job_is_told_in_words(search: Running, kind: str, data: dict[str, Any], words: str) -> None:
    assert describe_event(Event(1, search.id, None, kind, data, 0.0), None, search.job.spec) == words


def test_a_trial_starts_on_an_address(service: Service, search: Running) -> None:
    started = next(event for event in service.events.latest(search.id, 300) if event.kind == "trial.started")
    assert describe_event(started, 3, search.job.spec) == "trial 3 started (attempt 1) on 10.0.0.7"

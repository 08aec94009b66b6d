"""Charts of parameters and of time, curves and logs, as pages show them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from api.ui.charts import parameters as charts_parameters
from api.ui.charts import results as charts
from api.ui.charts import supernet as charts_supernet
from api.ui.charts import timeline as charts_timeline
from api.ui.charts.candidates import MOST_DRAWN, RankedCandidate, position, ranked_candidates, surface, thinned
from api.ui.live.curves import CurveStore
from api.ui.live.job_view import JobReader, JobView
from api.ui.live.log_tail import LOG_LINES, LogReader
from api.ui.parts.metrics import cost_text
from searchsvc.domain import Categorical, Float, Integer, Outcome, Parameter, TrialState
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.pages import EPOCHS, Running, a_search
from tests.support.supernets import STEPS, a_job_with_a_supernet

LR, KIND, COUNT = Float("lr", 0.001, 1.0, log=True), Categorical("kind", ("a", "b", "c")), Integer("count", 1, 5)


@pytest.fixture
def service(tmp_path: Path, sqlite_url: str) -> Iterator[Service]:
    store = Store.open(sqlite_url)
    yield Service(store, Settings(data_dir=tmp_path / "data", database_url=sqlite_url).prepare())
    store.close()


@pytest.fixture
def search(service: Service) -> Running:
    return a_search(service, 12)


def view_of(service: Service, search: Running) -> JobView:
    return JobReader(service, search.id).read(None)


def made(count: int) -> list[RankedCandidate]:
    return [
        RankedCandidate(n, {"lr": 10 ** (-3 * n / count), "kind": "abc"[n % 3]}, float(n), 1 - n / count)
        for n in range(count)
    ]


def test_results_are_ranked_from_the_best_to_the_worst(service: Service, search: Running) -> None:
    view = view_of(service, search)
    candidates = ranked_candidates(view, "accuracy", minimised=False)
    best = max(candidates, key=lambda one: one.value)
    assert (best.rank, max(one.rank for one in candidates)) == (0.0, 1.0)
    assert min(ranked_candidates(view, "accuracy", minimised=True), key=lambda one: one.value).rank == 0.0
    assert 5 not in {one.number for one in candidates}  # it failed


def test_of_many_results_the_best_are_drawn_last() -> None:
    drawn = thinned(made(3 * MOST_DRAWN))
    assert len(drawn) == MOST_DRAWN
    assert drawn[-1].number == 3 * MOST_DRAWN - 1
    assert thinned(made(4))[0].number == 0


@pytest.mark.parametrize(
    ("parameter", "value", "place"),
    [(LR, 0.001, 0.0), (LR, 1.0, 1.0), (LR, 10**-1.5, 0.5), (KIND, "b", 0.5), (COUNT, 2, 0.25)],
)
def test_values_lie_in_their_range_on_its_scale(parameter: Parameter, value: float | str, place: float) -> None:
    assert position(parameter, value) == pytest.approx(place)


def test_a_surface_is_linear_between_results_and_ends_where_they_end() -> None:
    corners = [(0.001, "a"), (1.0, "a"), (0.001, "c"), (1.0, "c"), (1.0, "c")]
    values = [0.0, 1.0, 0.0, 0.8, 1.2]
    candidates = [
        RankedCandidate(n, {"lr": lr, "kind": kind}, v, 0.0)
        for n, ((lr, kind), v) in enumerate(zip(corners, values, strict=True))
    ]
    heights = surface(candidates, LR, KIND)
    assert heights.shape == (3, 40)
    np.testing.assert_allclose(heights[0], (np.arange(40) + 0.5) / 40, atol=1e-9)
    assert np.isnan(surface(candidates[:2], LR, KIND)).all()
    assert np.isnan(surface([candidates[0], candidates[1], candidates[1]], LR, KIND)).all()


def test_every_candidate_has_a_line_and_what_it_lacks_is_left_out() -> None:
    candidates = [*made(3), RankedCandidate(3, {"lr": 0.5}, 9.0, 0.0)]
    lines = charts_parameters.parallel(candidates, [LR, KIND], "accuracy")["series"][0]["data"]
    assert {one["name"] for one in lines} == {
        f"trial #{n}: accuracy {v:.4f}" for n, v in enumerate((0.0, 1.0, 2.0, 9.0))
    }
    assert next(one for one in lines if one["name"].startswith("trial #3"))["value"] == [0.5, None, 9.0, 0.0]


def test_slice_rank_and_contour_know_the_trial_of_each_point() -> None:
    candidates = made(12)
    for options in (
        charts_parameters.slice_of(candidates, LR, "accuracy"),
        charts_parameters.rank(candidates, LR, KIND, "accuracy"),
        charts_parameters.contour(candidates, LR, KIND, "accuracy", minimised=False),
    ):
        points = options["series"][0]
        assert points["dimensions"][-1] == "trial"
        assert {point[-1] for point in points["data"]} == set(range(12))
    assert len(options["series"]) == 2
    assert all(len(cell) == 3 for cell in options["series"][1]["data"])


def test_the_timeline_has_a_row_per_worker_and_runs_to_now(service: Service, search: Running) -> None:
    attempts = service.trials.attempts_of_job(search.id)
    now = attempts[-1][1].started_at + 60
    options = charts_timeline.timeline(attempts, now)
    assert len(options["yAxis"]["data"]) == 13
    running = next(one for one in options["series"] if one["name"] == "running")
    assert [point[2:4] for point in running["data"]] == [[round(now * 1000), 12]]
    failed = next(one for one in options["series"] if one["name"] == "failed")
    assert failed["data"][0][5] == "DIVERGED"


def test_what_a_supernet_learned_has_a_column_per_step(service: Service) -> None:
    learning = service.results.learning(a_job_with_a_supernet(service.store).id)
    sure = charts_supernet.certainty(learning)
    assert len(sure["series"][0]["data"]) == STEPS * len(learning.parameters)
    options = charts_supernet.options_over_time(learning, "optimizer")
    assert options["yAxis"]["data"] == ["sgd", "adamw"]
    by_step = [sum(cell[2] for cell in options["series"][0]["data"] if cell[0] == step) for step in range(STEPS)]
    assert by_step == pytest.approx([1.0] * STEPS, abs=1e-3)
    assert len(charts_supernet.over_steps(learning, "entropy")["series"][0]["data"]) == STEPS


def test_curves_are_read_again_only_where_a_trial_went_on(
    service: Service, search: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    reads = service.trials.measurements_of

    def counted(trial_ids: list[str]) -> object:
        counts.append(len(trial_ids))
        return reads(trial_ids)

    monkeypatch.setattr(service.trials, "measurements_of", counted)
    reader = JobReader(service, search.id)
    first = reader.read(None).curves
    assert len(first[0]) == EPOCHS
    reader.read([])
    search.measure(12, 4, 0.93)
    search.flush()
    assert reader.read(None).curves[12][-1] == (4, 0.93)
    assert counts == [len(first), 1]


def test_of_many_curves_the_best_and_the_newest_are_kept(service: Service, search: Running) -> None:
    trials = view_of(service, search).trials
    assert set(CurveStore(service, 4).read(trials, (3, 0), "accuracy")) == {0, 3, 11, 12}


def test_many_curves_share_their_points(service: Service, search: Running) -> None:
    view = view_of(service, search)
    long = tuple((step, step / 9000) for step in range(9000))
    drawn = dict.fromkeys(view.trials, long)
    series = charts.curves(view, drawn)["series"]
    points = [point for one in series for point in one["data"] if point[0] is not None]
    assert len(points) <= 30_000
    assert {point[0] for point in points} >= {0, 8999}


def test_a_log_is_followed_from_where_it_was_read(service: Service, search: Running) -> None:
    trial = search.trials[12]
    reader = LogReader(service, trial)
    assert reader.read(None).lines == ()
    folder = service.settings.trial_dir(search.id, trial)
    folder.mkdir(parents=True)
    log = folder / "trial.log"
    log.write_text("".join(f"line {number}\n" for number in range(LOG_LINES + 100)))
    tail = reader.read([])
    assert (len(tail.lines), tail.lines[-1]) == (LOG_LINES, f"line {LOG_LINES + 99}")
    with log.open("a") as file:
        file.write("one more\nhalf a l")
    more = reader.read([])
    assert (more.lines[-1], more.first) == ("one more", tail.first + 1)
    with log.open("a") as file:
        file.write("ine\n")
    assert reader.read([]).lines[-1] == "half a line"
    log.write_text("anew\n")
    reader.read([])
    assert reader.read([]).lines[-1] == "anew"


def test_the_log_of_a_trial_that_is_over_is_read_to_its_end_and_left_alone(service: Service, search: Running) -> None:
    trial = search.trials[12]
    folder = service.settings.trial_dir(search.id, trial)
    folder.mkdir(parents=True)
    (folder / "trial.log").write_text("begin\nno end")
    reader = LogReader(service, trial)
    search.end(12, Outcome(TrialState.SUCCEEDED))
    search.flush()
    assert [reader.read([]).lines[-1] for _ in range(3)] == ["begin", "no end", "no end"]
    (folder / "trial.log").unlink()
    assert reader.read([]).lines[-1] == "no end"


def test_what_little_costs_is_said_in_minutes(service: Service, search: Running) -> None:
    assert cost_text(service.results.summary(search.id)) == "2 CPU-min"

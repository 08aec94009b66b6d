"""Plans, summaries, the best trials, the Pareto front, pages, references, logs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searchsvc.domain import Job, JobState, TrialState
from searchsvc.errors import Conflict, InvalidInput, NotFound
from searchsvc.service.results.standing import standing
from searchsvc.service.service import Service
from searchsvc.service.system import removal
from searchsvc.store import Store
from tests.support.jobs import a_claimed_job, run_trials
from tests.support.statements import statements


def test_a_plan_says_what_would_run_and_stores_nothing(service: Service, document: dict[str, Any]) -> None:
    plan = service.jobs.plan(document)
    assert plan.space_size > 1000
    assert 0 < plan.feasible_share < 1
    assert [str(one) for one in plan.hard] == ["flops <= 1e+06"]
    assert plan.outcome == ()
    assert plan.dataset.classes == tuple("0123456789")
    assert len(plan.candidates) == 5
    assert all(one.costs["flops"] <= 1e6 for one in plan.candidates)
    assert plan.warnings == ()
    assert service.jobs.page().items == ()


def test_without_hard_constraints_the_whole_space_is_feasible(service: Service, document: dict[str, Any]) -> None:
    assert service.jobs.plan({**document, "constraints": []}).feasible_share == 1.0


def test_a_plan_proposes_what_the_job_will(service: Service, finished_job: Callable[..., Job]) -> None:
    job = finished_job()
    plan = service.jobs.plan(job.spec.document())
    assert [one.candidate for one in plan.candidates] == [
        trial.proposal.candidate for trial in service.store.all_trials(job.id)[:5]
    ]


def test_a_plan_warns_of_what_no_machine_here_can_give(service: Service, document: dict[str, Any]) -> None:
    document["resources"] = {"cpu": 9000, "gpu": 64, "memory_bytes": 2**50}
    document["budget"]["gpu_hours"] = 1
    assert len(service.jobs.plan(document).warnings) == 3
    document["resources"] = {"gpu": 0}
    assert "gpu_hours limits nothing" in service.jobs.plan(document).warnings[0]


def test_a_plan_warns_of_a_space_smaller_than_the_budget(service: Service, document: dict[str, Any]) -> None:
    parameters = [{"type": "integer", "name": "depth_2", "low": 1, "high": 2}]
    plan = service.jobs.plan({**document, "space": {"parameters": parameters}, "constraints": []})
    assert plan.space_size == 2
    assert "the space has 2 candidates" in plan.warnings[0]
    assert len(plan.candidates) == 2


def test_a_summary_has_counts_pace_and_the_best(service: Service, finished_job: Callable[..., Job]) -> None:
    job = finished_job(12)
    summary = service.results.summary(job.id)
    assert {state: count for state, count in summary.counts.items() if count} == {
        TrialState.SUCCEEDED: 9,
        TrialState.STOPPED: 1,
        TrialState.FAILED: 2,
    }
    assert summary.best is not None
    assert (summary.best.number, summary.pareto_size) == (11, 1)
    assert summary.trials_per_minute == pytest.approx(12.0)
    assert summary.eta_seconds == 0.0
    assert sum(summary.rejected.values()) > 0


def test_a_summary_before_the_first_trial_says_that_nothing_is_known(
    service: Service, document: dict[str, Any]
) -> None:
    summary = service.results.summary(service.jobs.submit(document)[0].id)
    assert (summary.best, summary.pareto_size, summary.trials_per_minute, summary.eta_seconds) == (None, 0, None, None)


def test_an_extended_job_has_an_estimate_of_the_time_left(service: Service, finished_job: Callable[..., Job]) -> None:
    job = finished_job(12)
    service.jobs.extend(job.id, trials=36)
    assert service.results.summary(job.id).eta_seconds == pytest.approx(24 / 12 * 60)


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [
        ({"trials": 10}, 40.0),
        ({"trials": 10, "seconds": 1000.0}, 40.0),
        ({"trials": 10, "seconds": 75.0}, 15.0),
        ({"trials": 10, "seconds": 50.0}, 0.0),
        ({"trials": 1000, "gpu_hours": 0.05}, 60.0),
        ({"trials": 10, "gpu_hours": 0.05}, 40.0),
        ({"trials": 1000, "seconds": 90.0, "gpu_hours": 0.05}, 30.0),
    ],
    ids=str,
)
def test_the_time_left_is_that_of_the_nearest_limit(sqlite_url: str, budget: dict[str, float], seconds: float) -> None:
    """Six trials have taken 60 s and 90 GPU-seconds."""
    store = Store.open(sqlite_url)
    job, lease = a_claimed_job(store, budget=budget)
    run_trials(store, lease, [0.5] * 6)
    job = store.heartbeat(lease, 30.0, seconds=60.0, gpu_seconds=90.0)
    standing_now = standing(store, job, store.trial_counts(job.id), 60.0)
    assert standing_now.eta_seconds == pytest.approx(seconds)
    assert standing_now.trials_per_minute == pytest.approx(6.0)
    store.close()


def test_a_paused_job_has_no_time_left_to_tell(sqlite_url: str) -> None:
    store = Store.open(sqlite_url)
    job, lease = a_claimed_job(store)
    run_trials(store, lease, [0.5])
    store.heartbeat(lease, 30.0, seconds=60.0, gpu_seconds=0.0)
    store.release(lease)
    job = store.pause_job(job.id)
    assert standing(store, job, store.trial_counts(job.id), 60.0).eta_seconds is None
    store.close()


def test_the_best_keep_every_constraint(service: Service, finished_job: Callable[..., Job]) -> None:
    job = finished_job(12, constraints=[{"metric": "accuracy", "max": 0.57}])
    assert [trial.number for trial in service.results.best(job.id, 3)] == [6, 5, 3]
    with pytest.raises(InvalidInput, match="/k"):
        service.results.best(job.id, 0)


def test_the_pareto_front_weighs_all_objectives(service: Service, finished_job: Callable[..., Job]) -> None:
    job = finished_job(12, objectives=[{"metric": "accuracy"}, {"metric": "flops", "goal": "minimize"}])
    front = service.results.front(job.id)
    points = [(trial.metrics["accuracy"], trial.metrics["flops"]) for trial in front if trial.metrics]
    assert points == sorted(points, reverse=True)
    assert len({flops for _, flops in points}) == len(points) > 1
    assert [flops for _, flops in points] == sorted((flops for _, flops in points), reverse=True)
    assert service.results.summary(job.id).pareto_size == len(front)


def test_trials_side_by_side(service: Service, finished_job: Callable[..., Job]) -> None:
    job = finished_job()
    trials = service.trials.page(job.id, page_size=2).items
    comparison = service.trials.compare([trials[0].id, f"{job.name}/1"])
    assert comparison.trials == trials
    assert comparison.parameters["lr"] == tuple(trial.values["lr"] for trial in trials)
    alike = {name for name, values in comparison.parameters.items() if len(set(values)) == 1}
    assert alike
    assert set(comparison.differing) == comparison.parameters.keys() - alike
    assert "lr" in comparison.differing
    assert comparison.metrics["accuracy"] == pytest.approx((0.502, 0.512))


def test_trials_come_in_pages_either_way(service: Service, finished_job: Callable[..., Job]) -> None:
    job = finished_job(12)
    first = service.trials.page(job.id, page_size=8, newest_first=True)
    assert first.next_page_token is not None
    second = service.trials.page(job.id, page_size=8, newest_first=True, page_token=first.next_page_token)
    assert [one.number for one in (*first.items, *second.items)] == list(range(11, -1, -1))
    with pytest.raises(InvalidInput, match="/page_token"):
        service.trials.page(job.id, page_token=first.next_page_token)
    assert len(service.trials.page(job.id, state=TrialState.FAILED).items) == 2


def test_measurements_of_a_job_come_in_pages_in_their_order(service: Service, finished_job: Callable[..., Job]) -> None:
    job = finished_job(12)
    first = service.trials.measurements_of_job(job.id, page_size=20)
    second = service.trials.measurements_of_job(job.id, page_size=20, page_token=first.next_page_token)
    assert [number for _, number, _ in (*first.items, *second.items)] == [
        number for number in range(12) for _ in (1, 2)
    ]


def test_a_job_is_found_by_id_beginning_of_id_and_name(service: Service, document: dict[str, Any]) -> None:
    job, _ = service.jobs.submit({**document, "name": "alpha"})
    assert service.jobs.get(job.id).id == service.jobs.get(job.id[:18]).id == service.jobs.get("alpha").id == job.id
    twin, _ = service.jobs.submit({**document, "name": "alpha"})
    assert service.jobs.get("alpha").id == twin.id  # the newest of that name
    with pytest.raises(Conflict, match="fits several jobs"):
        service.jobs.get(twin.id[:4])
    for unknown in ("beta", job.id[:3], "0" * 8, "00000000-0000-0000-0000-000000000000", "%", ""):
        with pytest.raises(NotFound):
            service.jobs.get(unknown)


@pytest.mark.parametrize("reference", ["digits/99", "digits/x", "digits", "nothing/1", "digits/²", "/"])
def test_a_trial_that_is_not_there_is_not_found(
    service: Service, finished_job: Callable[..., Job], reference: str
) -> None:
    finished_job()
    with pytest.raises(NotFound):
        service.trials.get(reference)


def test_states_change_as_asked(service: Service, document: dict[str, Any]) -> None:
    job, _ = service.jobs.submit(document)
    assert service.jobs.pause(job.id).state is JobState.PAUSED
    assert service.jobs.resume(job.name).state is JobState.QUEUED
    assert service.jobs.cancel(job.id[:18]).state is JobState.CANCELLED


def test_failed_trials_are_run_again_on_request(service: Service, finished_job: Callable[..., Job]) -> None:
    job = finished_job(12)
    assert service.jobs.retry(job.id).state is JobState.QUEUED
    assert service.jobs.trial_counts([job.id])[job.id][TrialState.QUEUED] == 2


def test_a_deleted_job_leaves_no_files(service: Service, finished_job: Callable[..., Job]) -> None:
    job = finished_job()
    service.settings.job_log(job.id).write_text("log")
    service.jobs.delete(job.id)
    with pytest.raises(NotFound):
        service.jobs.get(job.id)
    removal.remove_deleted(service.store, service.settings, lambda _: False)
    assert not (service.settings.artifacts_dir / job.id).exists()
    assert not service.settings.job_log(job.id).exists()
    assert service.store.jobs_to_remove() == []


def test_a_delete_that_was_killed_is_continued_by_the_next_process(
    service: Service, finished_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, kept = finished_job(12), finished_job(3)
    monkeypatch.setattr(removal, "ROWS_REMOVED_AT_ONCE", 5)
    service.jobs.delete(job.id)
    pauses: list[float] = []

    def killed_after_three_parts(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) == 3

    removal.remove_deleted(service.store, service.settings, killed_after_three_parts)
    assert (len(pauses), service.store.jobs_to_remove()) == (3, [job.id])
    assert (service.settings.artifacts_dir / job.id).exists()
    assert min(pauses) >= 0.1
    removal.remove_deleted(service.store, service.settings, lambda _: False)
    assert service.store.jobs_to_remove() == []
    assert not (service.settings.artifacts_dir / job.id).exists()
    assert (service.settings.artifacts_dir / kept.id).exists()
    assert [one.id for one in service.jobs.page().items] == [kept.id]


def test_files_that_cannot_be_removed_are_tried_again_and_other_jobs_are_not_held_up(
    service: Service, finished_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = finished_job(12), finished_job(3)
    for job in (first, second):
        service.jobs.delete(job.id)
    refuses = True
    rmtree = shutil.rmtree

    def remove(path: Path) -> None:
        if refuses and path.name == first.id:
            raise PermissionError(f"{path} is read-only")
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", remove)
    removal.remove_deleted(service.store, service.settings, lambda _: False)
    assert service.store.jobs_to_remove() == [first.id]
    refuses = False
    removal.remove_deleted(service.store, service.settings, lambda _: False)
    assert service.store.jobs_to_remove() == []
    assert not (service.settings.artifacts_dir / first.id).exists()


def test_a_log_can_be_followed(service: Service, document: dict[str, Any]) -> None:
    job, _ = service.jobs.submit(document)
    with pytest.raises(NotFound, match="no log yet"):
        service.jobs.log(job.id)
    path: Path = service.settings.job_log(job.id)
    path.write_text("one\ntwo\nthree\n")
    assert service.jobs.log(job.id, lines=1).text == "three\n"
    end = service.jobs.log(job.id).end
    path.write_text("one\ntwo\nthree\nfour\n")
    assert service.jobs.log(job.id, offset=end).text == "four\n"
    path.write_text("five\n")  # the log was rotated
    assert service.jobs.log(job.id, offset=end).text == "five\n"


def test_a_summary_takes_as_many_statements_for_many_trials_as_for_few(
    service: Service, finished_job: Callable[..., Job]
) -> None:
    few, many = finished_job(5, name="few"), finished_job(150, name="many", constraints=[])
    assert (
        _statements(lambda: service.results.summary(many.id))
        == _statements(lambda: service.results.summary(few.id))
        <= 6
    )


@pytest.mark.parametrize("constraints", [[], [{"metric": "accuracy", "max": 0.505}]], ids=["free", "constrained"])
def test_the_front_takes_as_many_statements_for_many_trials_as_for_few(
    service: Service, finished_job: Callable[..., Job], constraints: list[dict[str, Any]]
) -> None:
    changes = {"constraints": constraints, "objectives": [{"metric": "accuracy"}, {"metric": "loss"}]}
    few, many = finished_job(5, name="few", **changes), finished_job(150, name="many", **changes)
    assert (
        _statements(lambda: service.results.front(many.id)) == _statements(lambda: service.results.front(few.id)) == 3
    )
    assert _statements(lambda: service.results.best(many.id, 3)) <= 4


def test_the_best_are_found_although_the_first_ones_break_a_constraint(
    service: Service, finished_job: Callable[..., Job]
) -> None:
    job = finished_job(100, constraints=[{"metric": "accuracy", "max": 0.57}])
    assert [trial.number for trial in service.results.best(job.id, 3)] == [6, 5, 3]
    assert [trial.number for trial in service.results.front(job.id)] == [6]


def test_the_best_of_equal_trials_is_on_the_front(service: Service, finished_job: Callable[..., Job]) -> None:
    """Trials of equal accuracy differ in costs, and the first of them by number is not the cheapest."""
    job = finished_job(
        12, objectives=[{"metric": "train_loss", "goal": "minimize"}, {"metric": "flops", "goal": "minimize"}]
    )
    best, front = service.results.best(job.id, 12), service.results.front(job.id)
    assert [trial.metrics["flops"] for trial in best if trial.metrics] == sorted(
        trial.metrics["flops"] for trial in best if trial.metrics
    )
    assert best[0] == front[0]
    assert best[0].number != min(trial.number for trial in best)


def _statements(look: Callable[[], object]) -> int:
    with statements() as said:
        look()
    return len([one for one in said if not one.startswith(("BEGIN", "PRAGMA"))])

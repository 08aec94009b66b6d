"""The trial of a supernet run by a driver and by a worker, with a task that trains nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from searchsvc.domain import (
    Decision,
    FailureKind,
    Fidelity,
    Job,
    JobSpec,
    Lease,
    Measurement,
    Objective,
    Outcome,
    SharedSearch,
    TrialKind,
    TrialState,
    TrialTask,
)
from searchsvc.service.lookup.supernets import options_of
from searchsvc.service.planning.blueprint import Blueprint
from searchsvc.spaces import NO_COSTS, Float, Space
from searchsvc.store import Store
from tests.support.jobs import TTL_SECONDS
from tests.support.tasks import SCRIPTED, SHARING, NoOp
from workers.driver.ledger import Ledger, OpenTrial
from workers.driver.recovery import recover
from workers.trials.run_trial import TrialRun, run_trial

SPACE = Space([Float("x", 0.0, 1.0)])


@pytest.fixture
def claimed(sqlite_url: str) -> Iterator[tuple[Store, Job, Lease]]:
    store = Store.open(sqlite_url)
    spec = JobSpec.parse(
        {
            "name": "shared",
            "task": "sharing",
            "dataset": {"name": "nothing"},
            "space": {"parameters": [{"type": "float", "name": "x", "low": 0, "high": 1}]},
            "objectives": [{"metric": "score"}],
            "algorithm": {"name": "autohas", "finalists": 2, "basis_values": 3},
            "stopping": {"name": "median", "min_trials": 1, "min_epochs": 1},
            "fidelity": {"epochs": 2},
            "budget": {"trials": 9},
        }
    )
    job, _ = store.create_job(spec)
    claim = store.claim_job(job.id, "driver", TTL_SECONDS)
    assert claim is not None
    yield store, *claim
    store.close()


def blueprint_of(spec: JobSpec) -> Blueprint:
    info = NoOp().inspect({}, 0)
    return Blueprint(spec, SHARING, info, SPACE, NO_COSTS, (), (), MappingProxyType({}))


def ledger_of(store: Store, job: Job, lease: Lease) -> Ledger:
    """Return a ledger as a driver builds it, from the stored state."""
    return recover(store, store.writer(lease), job, blueprint_of(job.spec))


def next_of(ledger: Ledger, *, idle: bool = True) -> OpenTrial | None:
    return ledger.next_trial(4, ledger.spec.budget.trials, idle=idle)


def started(ledger: Ledger) -> OpenTrial:
    trial = next_of(ledger)
    assert trial is not None
    ledger.start(trial, None, None)
    return trial


def at(step: int, **metrics: float) -> Measurement:
    return Measurement(step, {"reward": 1.0 / step, **metrics}, float(step))


class TestInTheLedger:
    def test_nothing_else_runs_beside_a_supernet_and_its_finalists_follow(
        self, claimed: tuple[Store, Job, Lease]
    ) -> None:
        store, job, _ = claimed
        ledger = ledger_of(*claimed)
        supernet = started(ledger)
        assert supernet.proposal.kind is TrialKind.SUPERNET
        assert next_of(ledger, idle=False) is None
        assert not ledger.exhausted
        ledger.measure(supernet, at(1))
        ledger.measure(supernet, at(2, **{"finalist/0/x": 0.25, "finalist/1/x": 0.75}))
        assert not ledger.finish(supernet, Outcome(TrialState.SUCCEEDED))
        assert [started(ledger).proposal.candidate.values for _ in range(2)] == [{"x": 0.25}, {"x": 0.75}]
        assert next_of(ledger, idle=False) is None
        assert ledger.exhausted
        stored = store.all_trials(job.id)[0]
        assert (stored.state, stored.failure, stored.told) == (TrialState.SUCCEEDED, None, 0)
        assert stored.metrics == {"reward": 0.5, "finalist/0/x": 0.25, "finalist/1/x": 0.75}

    def test_the_stopping_rule_sees_candidates_alone(self, claimed: tuple[Store, Job, Lease]) -> None:
        ledger = ledger_of(*claimed)
        supernet = started(ledger)
        for step in (1, 2, 3):
            assert ledger.measure(supernet, at(step, score=1.0)) is Decision.CONTINUE
        ledger.measure(supernet, at(4, **{"finalist/0/x": 0.9, "finalist/1/x": 0.1}))
        ledger.finish(supernet, Outcome(TrialState.SUCCEEDED))
        good, bad = started(ledger), started(ledger)
        assert ledger.measure(good, Measurement(1, {"score": 0.9}, 1.0)) is Decision.CONTINUE
        assert ledger.measure(bad, Measurement(1, {"score": 0.1}, 1.0)) is Decision.STOP

    def test_another_driver_goes_on_with_the_same_supernet(self, claimed: tuple[Store, Job, Lease]) -> None:
        ledger = ledger_of(*claimed)
        ledger.measure(started(ledger), at(1))
        ledger.flush()
        ledger = ledger_of(*claimed)
        supernet = started(ledger)
        assert (supernet.number, supernet.attempts, supernet.step) == (0, 2, 1)
        ledger.measure(supernet, at(2, **{"finalist/0/x": 0.5}))
        ledger.finish(supernet, Outcome(TrialState.SUCCEEDED))
        ledger.flush()
        follower = ledger_of(*claimed)
        assert started(follower).proposal.candidate.values == {"x": 0.5}

    def test_a_failed_supernet_that_is_retried_at_once_leads_to_its_finalists(
        self, claimed: tuple[Store, Job, Lease]
    ) -> None:
        ledger = ledger_of(*claimed)
        supernet = started(ledger)
        ledger.finish(supernet, Outcome(TrialState.FAILED, FailureKind.ERROR, "no memory"))
        assert next_of(ledger) is None
        assert ledger.exhausted
        ledger.reopen(supernet)
        assert not ledger.exhausted
        again = started(ledger)
        ledger.measure(again, at(1, **{"finalist/0/x": 0.5}))
        ledger.finish(again, Outcome(TrialState.SUCCEEDED))
        assert started(ledger).proposal.candidate.values == {"x": 0.5}

    def test_a_candidate_that_measures_no_objective_still_fails(self, claimed: tuple[Store, Job, Lease]) -> None:
        store, job, _ = claimed
        ledger = ledger_of(*claimed)
        supernet = started(ledger)
        ledger.measure(supernet, at(1, **{"finalist/0/x": 0.5}))
        ledger.finish(supernet, Outcome(TrialState.SUCCEEDED))
        finalist = started(ledger)
        ledger.measure(finalist, at(1))
        ledger.finish(finalist, Outcome(TrialState.SUCCEEDED))
        ledger.flush()
        assert store.all_trials(job.id)[1].failure is FailureKind.ERROR


def task_of(folder: Path, **changes: Any) -> TrialTask:
    options = {"epochs": 3, "logs_per_epoch": 2, "finalists": 2, "basis_values": 3}
    fields: dict[str, Any] = {
        "trial_id": "trial",
        "attempt": 1,
        "task": "sharing",
        "dataset": {},
        "values": {},
        "fidelity": Fidelity(epochs=3),
        "objective": Objective(metric="score"),
        "seed": 1,
        "directory": str(folder),
        "search": SharedSearch(SPACE.parameters, (), None, options),
    }
    return TrialTask(**fields | changes)


class TestOnAWorker:
    def test_a_supernet_is_searched_to_its_last_step(self, tmp_path: Path) -> None:
        measured: list[Measurement] = []

        def report(measurement: Measurement) -> Decision:
            measured.append(measurement)
            return Decision.CONTINUE

        outcome = run_trial(task_of(tmp_path), report, lambda _: SHARING)
        assert outcome.state is TrialState.SUCCEEDED
        assert [one.step for one in measured] == [1, 2, 3, 4, 5, 6]
        assert set(measured[-1].metrics) > {"finalist/0/x", "finalist/1/x", "p/x/2"}
        assert "score" not in measured[-1].metrics

    def test_the_limit_of_time_is_met_at_the_last_step_of_the_supernet_and_not_of_a_trial(self, tmp_path: Path) -> None:
        run = TrialRun(task_of(tmp_path, trial_seconds=3.0), lambda _: SHARING)  # a second per step
        assert [one.step for one in run] == [1, 2, 3, 4]
        assert run.outcome().failure is FailureKind.TIMED_OUT
        (tmp_path / "last.pt").unlink()
        run = TrialRun(task_of(tmp_path, trial_seconds=5.5), lambda _: SHARING)
        assert len(list(run)) == 6
        assert run.outcome().state is TrialState.SUCCEEDED

    def test_a_task_without_supernets_says_so(self, tmp_path: Path) -> None:
        outcome = run_trial(task_of(tmp_path, task="scripted"), lambda _: Decision.CONTINUE, lambda _: SCRIPTED)
        assert (outcome.failure, outcome.message) == (
            FailureKind.ERROR,
            "task 'scripted' trains no supernets: it has no `search`",
        )

    def test_a_candidate_of_a_task_with_supernets_is_trained(self, tmp_path: Path) -> None:
        steps = [one.metrics.keys() for one in TrialRun(task_of(tmp_path, search=None), lambda _: SHARING)]
        assert steps == [{"score", "cost"}] * 3


def test_the_epochs_of_a_supernet_are_twice_those_of_a_trial_unless_they_are_given(
    claimed: tuple[Store, Job, Lease],
) -> None:
    spec = claimed[1].spec
    algorithm = spec.algorithm.model_copy(update={"epochs": 7})
    assert (options_of(spec) or {})["epochs"] == 4
    assert (options_of(spec.model_copy(update={"algorithm": algorithm})) or {})["epochs"] == 7

"""Failures of storage are repeated without counting: neither the budget nor the algorithm notices them."""

from __future__ import annotations

from typing import Any

import pytest

from searchsvc.domain import Attempt, Candidate, FailureKind, JobSpec, Outcome, Proposal, TrialState
from workers.driver.ledger import Ledger, OpenTrial
from workers.driver.recovery import counted_failures

FULL = Outcome(TrialState.FAILED, FailureKind.STORAGE, "No space left on device")
LOST = Outcome(TrialState.FAILED, FailureKind.LOST, "the worker was lost")


class Recorder:
    """A writer and a proposer that note the names of their calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any, **__: Any) -> int:
            self.calls.append(name)
            return 0

        return call


@pytest.fixture
def spec() -> JobSpec:
    return JobSpec.parse(
        {
            "name": "a search",
            "task": "noop",
            "dataset": {"name": "nothing"},
            "space": {"parameters": [{"type": "float", "name": "x", "low": 0.0, "high": 1.0}]},
            "objectives": [{"metric": "score"}],
            "algorithm": {"name": "random"},
            "budget": {"trials": 1},
            "resources": {"attempts": 2},
        }
    )


def test_a_full_disk_never_ends_a_trial(spec: JobSpec) -> None:
    writer, proposer = Recorder(), Recorder()
    rule: Any = None
    ledger = Ledger(spec, writer=writer, proposer=proposer, rule=rule)  # type: ignore[arg-type]  # only calls count
    trial = OpenTrial("t", 0, Proposal(Candidate({"x": 0.5}), asks=1, told=0))
    for number in range(1, 11):
        ledger.start(trial, None, None)
        assert ledger.finish(trial, FULL)
        assert (trial.attempts, trial.failures, list(ledger.waiting)) == (number, 0, [trial])
        ledger.waiting.clear()
    assert set(writer.calls) == {"start_attempt", "requeue"}
    assert proposer.calls == []
    repeated = []
    for _ in range(2):
        ledger.start(trial, None, None)
        repeated.append(ledger.finish(trial, LOST))
    assert repeated == [True, False]


def test_a_recovered_trial_has_as_many_failures_as_before() -> None:
    kinds = [FailureKind.STORAGE, FailureKind.LOST, FailureKind.STORAGE, FailureKind.STORAGE]
    attempts = [
        Attempt("t", number, TrialState.FAILED, kind, None, None, None, 0.0, 1.0) for number, kind in enumerate(kinds)
    ]
    assert counted_failures(attempts, 3) == 1
    assert counted_failures(attempts[:1], 1) == 0

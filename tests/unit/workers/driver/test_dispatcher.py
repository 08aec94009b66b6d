"""Tune's events as the dispatcher handles them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from searchsvc.domain import Candidate, Proposal, Resources, TrialKind
from workers.driver.attempts import ActiveAttempt
from workers.driver.dispatcher import Dispatcher
from workers.driver.ledger import OpenTrial


def test_hours_of_gpus_are_those_of_all_processes_of_what_runs() -> None:
    trials = [
        OpenTrial("supernet", 0, Proposal(Candidate({}), asks=1, told=0, kind=TrialKind.SUPERNET)),
        OpenTrial("waits", 1, Proposal(Candidate({"lr": 0.01}), asks=1, told=0)),
    ]
    attempts = {trial.id: ActiveAttempt(trial, submitted=0.0, workers=3) for trial in trials}
    heartbeat: Any = SimpleNamespace(job=SimpleNamespace(revision=0))
    ledger: Any = SimpleNamespace(running={"supernet": trials[0]})
    placement: Any = SimpleNamespace(resources=Resources(gpu=2, workers=3))
    unused: Any = None
    dispatcher = Dispatcher(ledger, heartbeat, placement, unused, unused, unused, attempts)
    dispatcher._count_gpus()
    assert heartbeat.gpus_in_use == 6

"""Small jobs, trials and results to put into a store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from searchsvc.domain import Candidate, Job, JobSpec, Lease, Measurement, Outcome, Proposal, TrialState, new_id
from searchsvc.store import Store

TTL_SECONDS = 30.0
DONE = Outcome(TrialState.SUCCEEDED)


class Clock:
    """A clock that tests advance."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def a_spec(**changes: Any) -> JobSpec:
    document = {
        "name": "digits",
        "task": "classification",
        "dataset": {"name": "digits"},
        "space": {"parameters": [{"type": "float", "name": "lr", "low": 1e-4, "high": 1.0, "log": True}]},
        "objectives": [{"metric": "accuracy"}, {"metric": "flops", "goal": "minimize"}],
        "algorithm": {"name": "random"},
        "budget": {"trials": 100, "seconds": 900.0},
    }
    return JobSpec.parse(document | changes)


def a_proposal(number: int, **changes: Any) -> Proposal:
    fields: dict[str, Any] = {"candidate": Candidate({"lr": 0.1, "number": number}), "asks": number + 1, "told": 0}
    return Proposal(**fields | changes)


def a_claimed_job(store: Store, **changes: Any) -> tuple[Job, Lease]:
    job, _ = store.create_job(a_spec(**changes))
    claimed = store.claim_job(job.id, "driver", TTL_SECONDS)
    assert claimed is not None
    return claimed


def add_trials(store: Store, lease: Lease, count: int, *, first: int = 0) -> list[str]:
    """Add QUEUED trials and return their ids by number."""
    ids = [new_id() for _ in range(count)]
    writer = store.writer(lease)
    writer.add_trials([(id_, first + place, a_proposal(first + place)) for place, id_ in enumerate(ids)])
    writer.flush()
    return ids


def run_trials(store: Store, lease: Lease, accuracies: Iterable[float], *, first: int = 0) -> list[str]:
    """Add trials that SUCCEEDED after a measurement, and return their ids by number."""
    accuracies = list(accuracies)
    ids = add_trials(store, lease, len(accuracies), first=first)
    writer = store.writer(lease)
    for order, (trial_id, accuracy) in enumerate(zip(ids, accuracies, strict=True)):
        writer.start_attempt(trial_id, 1, "node", 1, 0.0)
        measured = Measurement(1, {"accuracy": accuracy}, 0.5)
        writer.measure(trial_id, measured, measured)
        writer.finish(trial_id, 1, DONE, order)
    writer.flush()
    return ids

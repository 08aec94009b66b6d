"""Stores filled for benchmarks."""

from __future__ import annotations

from searchsvc.domain import Candidate, JobSpec, Lease, Proposal
from searchsvc.store import Store

SPEC = JobSpec.parse(
    {
        "name": "bench",
        "task": "classification",
        "dataset": {"name": "digits"},
        "space": {"parameters": [{"type": "float", "name": "lr", "low": 0.0, "high": 1.0}]},
        "objectives": [{"metric": "accuracy"}],
        "algorithm": {"name": "random"},
        "budget": {"trials": 1_000_000},
    }
)


def claimed_job(store: Store) -> Lease:
    """A fresh job, claimed for a long time."""
    store.create_job(SPEC)
    claimed = store.claim("bench", 3600.0)
    assert claimed is not None
    return claimed[1]


def proposal(number: int) -> Proposal:
    """The proposal of trial `number`."""
    return Proposal(Candidate({"lr": number / 1e6}), asks=number + 1, told=number, costs={"flops": 1e6 + number})

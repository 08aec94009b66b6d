"""Stores filled for benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import create_engine, insert, text, update

from searchsvc.domain import Candidate, JobSpec, Lease, Proposal, TrialState, new_id
from searchsvc.store import Store
from searchsvc.store.tables import jobs, measurements, total_of, trials

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
    """Return a new job, claimed for a long time."""
    store.create_job(SPEC)
    claimed = store.claim("bench", 3600.0)
    assert claimed is not None
    return claimed[1]


def proposal(number: int) -> Proposal:
    """Return the proposal of trial `number`."""
    return Proposal(Candidate({"lr": number / 1e6}), asks=number + 1, told=number, costs={"flops": 1e6 + number})


FAILED_EVERY = 10
_ROWS_PER_STATEMENT = 2_000


def ended_job(store: Store, url: str, count: int) -> str:
    """Return the id of a job with `count` ended trials, every tenth FAILED; only reading is measured."""
    job_id = claimed_job(store).job_id
    fill(url, job_id, count)
    return job_id


def fill(
    url: str, job_id: str, count: int, *, propose: Callable[[int], Proposal] = proposal, steps: int = 0
) -> list[str]:
    """Add `count` ended trials with `steps` measurements each to the job, and return their ids."""
    rows = list(_ended_trials(job_id, count, propose, steps or 5))
    failed = sum(row["state"] == TrialState.FAILED.value for row in rows)
    totals = {total_of(TrialState.FAILED): failed, total_of(TrialState.SUCCEEDED): count - failed}
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        for start in range(0, count, _ROWS_PER_STATEMENT):
            part = rows[start : start + _ROWS_PER_STATEMENT]
            connection.execute(insert(trials), part)
            if steps:
                connection.execute(insert(measurements), [one for row in part for one in _measured(row, steps)])
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(totals))
        if engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE"))  # autovacuum does this within a minute of as many rows
    engine.dispose()
    return [row["id"] for row in rows]


def _ended_trials(
    job_id: str, count: int, propose: Callable[[int], Proposal], step: int
) -> Iterator[dict[str, Any]]:
    for number in range(count):
        made = propose(number)
        score = (number * 7919 % count) / count
        common = {"id": new_id(), "job_id": job_id, "number": number, "told": number, "step": step, "seconds": 1.0}
        common |= {"candidate": dict(made.candidate.values), "asks": made.asks, "told_before": made.told}
        common |= {"rejected": {}, "answered": [], "costs": dict(made.costs), "attempts": 1}
        common |= {"created_at": float(number), "started_at": float(number), "finished_at": float(number + 1)}
        if number % FAILED_EVERY == 0:
            yield common | {
                "state": "FAILED",
                "metrics": None,
                "best_step": None,
                "minimised_objective": None,
                "failure": "ERROR",
            }
        else:
            measured = {"metrics": {"accuracy": score, **made.costs}, "best_step": step, "minimised_objective": -score}
            yield common | {"state": "SUCCEEDED", "failure": None} | measured


def _measured(row: dict[str, Any], steps: int) -> Iterator[dict[str, Any]]:
    """Return the measurements of a trial up to its result."""
    for step in range(1, steps + 1 if row["metrics"] else 1):
        metrics = {"accuracy": row["metrics"]["accuracy"] * step / steps}
        common = {"job_id": row["job_id"], "trial_id": row["id"], "trial_number": row["number"]}
        yield common | {"step": step, "metrics": metrics, "seconds": step / steps}

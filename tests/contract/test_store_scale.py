"""Reading a job with 100,000 trials takes the same work as reading a small job."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial

import pytest
from sqlalchemy import String, cast, insert, literal, select, text, update

from searchsvc.domain import Job, TrialState, new_id
from searchsvc.service.results import front, standing
from searchsvc.store import Store
from searchsvc.store.tables import jobs, total_of, trials
from tests.support.jobs import a_claimed_job
from tests.support.statements import visits
from tests.support.work import calls

TRIALS, SMALL = 100_000, 1_000


def fill(store: Store, job_id: str, size: int) -> None:
    """Insert rows as a JobWriter leaves them, without their history."""
    accuracy = random.Random(0)
    empty = dict.fromkeys((column.name for column in trials.c), None)
    state = {"state": "SUCCEEDED", "best_step": 1, "step": 1, "seconds": 1.0, "attempts": 1, "created_at": 0.0}
    proposal = {"asks": 1, "told_before": 0, "rejected": {}, "answered": [], "costs": {"flops": 1e6}}
    proposal |= {"in_full": False, "kind": "candidate"}
    for start in range(0, size, 10_000):
        rows = []
        for number in range(start, min(start + 10_000, size)):
            value = accuracy.random()
            own = {"id": new_id(), "job_id": job_id, "number": number, "told": number, "minimised_objective": -value}
            values = {
                "candidate": {f"p{n}": value for n in range(10)},
                "metrics": {"accuracy": value, "flops": 1e6 * accuracy.random()},
            }
            rows.append({**empty, **state, **proposal, **own, **values})
        store._database.write(lambda connection, rows=rows: connection.execute(insert(trials), rows))
    count(store, job_id, size)


def count(store: Store, job_id: str, size: int) -> None:
    totals = update(jobs).where(jobs.c.id == job_id).values({total_of(TrialState.SUCCEEDED): size})
    store._database.write(lambda connection: connection.execute(totals))
    # PostgreSQL counts rows by itself, within a minute of many changes.
    store._database.write(lambda connection: connection.execute(text("ANALYZE")))


def copy(store: Store, job_id: str, to: str, size: int) -> None:
    """Copy the trials of a job to another job."""
    values = [column for column in trials.c if column.name not in ("id", "job_id")]
    ids = literal(f"copy-{to}-").concat(cast(trials.c.number, String))
    rows = select(ids, literal(to), *values).where(trials.c.job_id == job_id)
    names = ["id", "job_id", *(column.key for column in values)]
    store._database.write(lambda connection: connection.execute(insert(trials).from_select(names, rows)))
    count(store, to, size)


def visited(look: Callable[[], object]) -> int:
    """Return the work of the database for a call."""
    with visits() as made:
        look()
    return made.total()


@pytest.mark.slow
def test_a_job_of_a_hundred_thousand_trials_is_read_with_the_work_of_a_small_one(store: Store) -> None:
    """Pages and totals visit the same number of rows; the front and the best read each result once, with any limit."""
    jobs_by_size = {count: a_claimed_job(store)[0] for count in (SMALL, TRIALS)}
    for count, job in jobs_by_size.items():
        fill(store, job.id, count)
    small, large = (
        {name: visited(look) for name, look in _pages(store, job, size).items()} for size, job in jobs_by_size.items()
    )
    assert {name: (small[name], large[name]) for name in small if large[name] > 2 * small[name] + 500} == {}
    for constraints in ([], [{"metric": "accuracy", "max": 0.5}]):
        needed = {}
        for size, job in jobs_by_size.items():
            limited, _ = a_claimed_job(store, constraints=constraints)
            copy(store, job.id, limited.id, size)
            needed[size] = _calls_of_fronts(store, limited)
        for name, count in needed[SMALL].items():
            assert needed[TRIALS][name] < 2 * TRIALS / SMALL * count, name


def _pages(store: Store, job: Job, size: int) -> Mapping[str, Callable[[], object]]:
    return {
        "first page": lambda: store.trials(job.id, limit=100),
        "newest page": lambda: store.trials(job.id, limit=100, newest_first=True),
        "page in the middle": lambda: store.trials(job.id, after=size // 2, limit=100),
        "page of a state": lambda: store.trials(job.id, state=TrialState.SUCCEEDED, after=size // 3, limit=100),
        "page of a rare state": lambda: store.trials(job.id, state=TrialState.FAILED, limit=100),
        "best_trials": lambda: store.best_trials(job.id, 10, then=job.spec.objectives[1:]),
        "newest results": lambda: store.results(job.id, after=size - 100),
        "trial_counts": lambda: store.trial_counts(job.id),
        "rejections": lambda: store.rejections(job.id),
        "statistics": store.statistics,
    }


def _calls_of_fronts(store: Store, job: Job) -> dict[str, int]:
    """Return the number of calls that each takes; all of them return trials."""
    looks: dict[str, Callable[[], object]] = {
        "the trials on the front": partial(front.trials_on_front, store, job),
        "the grown front": partial(front.grown, store, job),
        "ties for the best": partial(front.ties_for_best, store, job),
        "the best": partial(standing.best, store, job, 5),
    }
    counts = {}
    for name, look in looks.items():
        with calls() as made:
            assert look()
        counts[name] = made.count
    return counts

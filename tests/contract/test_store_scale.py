"""A job with 100,000 trials is looked at as fast as a small one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import partial

import pytest
from sqlalchemy import String, cast, insert, literal, select, text, update

from searchsvc.domain import TrialState, new_id
from searchsvc.service.results import front, standing
from searchsvc.store import Store
from searchsvc.store.tables import jobs, total_of, trials
from tests.support.jobs import a_claimed_job

TRIALS, LIMIT_SECONDS, FRONT_SECONDS = 100_000, 0.1, 3.0


def fill(store: Store, job_id: str) -> None:
    """Rows as a JobWriter leaves them, without the history that led there."""
    accuracy = random.Random(0)
    empty = dict.fromkeys((column.name for column in trials.c), None)
    state = {"state": "SUCCEEDED", "best_step": 1, "step": 1, "seconds": 1.0, "attempts": 1, "created_at": 0.0}
    proposal = {"asks": 1, "told_before": 0, "rejected": {}, "answered": [], "costs": {"flops": 1e6}}
    proposal |= {"in_full": False, "kind": "candidate"}
    for start in range(0, TRIALS, 10_000):
        rows = []
        for number in range(start, start + 10_000):
            value = accuracy.random()
            own = {"id": new_id(), "job_id": job_id, "number": number, "told": number, "badness": -value}
            values = {
                "candidate": {f"p{n}": value for n in range(10)},
                "metrics": {"accuracy": value, "flops": 1e6 * accuracy.random()},
            }
            rows.append({**empty, **state, **proposal, **own, **values})
        store._database.write(lambda connection, rows=rows: connection.execute(insert(trials), rows))
    count(store, job_id)


def count(store: Store, job_id: str) -> None:
    totals = update(jobs).where(jobs.c.id == job_id).values({total_of(TrialState.SUCCEEDED): TRIALS})
    store._database.write(lambda connection: connection.execute(totals))
    # PostgreSQL counts rows by itself, within a minute of many changes.
    store._database.write(lambda connection: connection.execute(text("ANALYZE")))


def copy(store: Store, job_id: str, to: str) -> None:
    """The trials of one job as those of another."""
    values = [column for column in trials.c if column.name not in ("id", "job_id")]
    ids = literal("copy-").concat(cast(trials.c.number, String))
    rows = select(ids, literal(to), *values).where(trials.c.job_id == job_id)
    names = ["id", "job_id", *(column.name for column in values)]
    store._database.write(lambda connection: connection.execute(insert(trials).from_select(names, rows)))
    count(store, to)


def too_slow(looks: Mapping[str, Callable[[], object]], limit: float) -> dict[str, float]:
    """The seconds of those that take longer; each for the first time, with nothing warmed up."""
    seconds = {}
    for name, look in looks.items():
        began = time.perf_counter()
        look()
        seconds[name] = time.perf_counter() - began
    return {name: value for name, value in seconds.items() if value > limit}


@pytest.mark.slow
def test_a_job_of_a_hundred_thousand_trials_is_read_as_fast_as_a_small_one(store: Store) -> None:
    """Pages and totals in a tenth of a second; the front and the best, with and without a limit, in three."""
    job, _ = a_claimed_job(store)
    fill(store, job.id)
    pages: dict[str, Callable[[], object]] = {
        "first page": lambda: store.trials(job.id, limit=100),
        "newest page": lambda: store.trials(job.id, limit=100, newest_first=True),
        "page in the middle": lambda: store.trials(job.id, after=50_000, limit=100),
        "page of a state": lambda: store.trials(job.id, state=TrialState.SUCCEEDED, after=90_000, limit=100),
        "page of a rare state": lambda: store.trials(job.id, state=TrialState.FAILED, limit=100),
        "best_trials": lambda: store.best_trials(job.id, 10, then=job.spec.objectives[1:]),
        "newest results": lambda: store.results(job.id, after=TRIALS - 100),
        "trial_counts": lambda: store.trial_counts(job.id),
        "rejections": lambda: store.rejections(job.id),
        "statistics": store.statistics,
    }
    slow = too_slow(pages, LIMIT_SECONDS)
    limited, _ = a_claimed_job(store, constraints=[{"metric": "accuracy", "max": 0.5}])
    copy(store, job.id, limited.id)
    for one in (job, limited):
        fronts: dict[str, Callable[[], object]] = {
            f"pareto within {one.spec.constraints}": partial(front.trials_on_front, store, one),
            f"front within {one.spec.constraints}": partial(front.grown, store, one),
            f"ties within {one.spec.constraints}": partial(front.ties_for_best, store, one),
            f"best within {one.spec.constraints}": partial(standing.best, store, one, 5),
        }
        slow |= too_slow(fronts, FRONT_SECONDS)
        assert all(look() for look in fronts.values())
    assert slow == {}

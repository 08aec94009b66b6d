"""A job with 100,000 trials is looked at as fast as a small one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from sqlalchemy import insert, text, update

from searchsvc.domain import TrialState, new_id
from searchsvc.service import results
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
    totals = update(jobs).where(jobs.c.id == job_id).values({total_of(TrialState.SUCCEEDED): TRIALS})
    store._database.write(lambda connection: connection.execute(totals))
    # PostgreSQL counts rows by itself, within a minute of many changes.
    store._database.write(lambda connection: connection.execute(text("ANALYZE")))


@pytest.mark.slow
def test_pages_and_totals_of_a_hundred_thousand_trials_take_under_a_tenth_of_a_second(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    job, _ = a_claimed_job(store)
    fill(store, job.id)
    looks: dict[str, Callable[[], object]] = {
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
    seconds = {}
    for name, look in looks.items():
        began = time.perf_counter()
        look()  # the first look, with nothing warmed up
        seconds[name] = time.perf_counter() - began
    with capsys.disabled():
        backend = store._database.url.get_backend_name()
        print(f"\n{backend}: " + ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in seconds.items()))
    assert {name: value for name, value in seconds.items() if value > LIMIT_SECONDS} == {}


@pytest.mark.slow
@pytest.mark.parametrize("constraints", [[], [{"metric": "accuracy", "max": 0.5}]], ids=["free", "constrained"])
def test_the_front_and_the_best_of_a_hundred_thousand_trials_take_under_three_seconds(
    store: Store, capsys: pytest.CaptureFixture[str], constraints: list[dict[str, object]]
) -> None:
    job, _ = a_claimed_job(store, constraints=constraints)
    fill(store, job.id)
    looks: dict[str, Callable[[], object]] = {
        "pareto": lambda: results.pareto(store, job),
        "known_front": lambda: results.known_front(store, job, TRIALS),
        "best": lambda: results.best(store, job, 5),
    }
    seconds = {}
    for name, look in looks.items():
        began = time.perf_counter()
        assert look()
        seconds[name] = time.perf_counter() - began
    with capsys.disabled():
        backend = store._database.url.get_backend_name()
        print(f"\n{backend}: " + ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in seconds.items()))
    assert {name: value for name, value in seconds.items() if value > FRONT_SECONDS} == {}

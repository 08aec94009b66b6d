"""Quotas of tokens, on both databases: checked in the transaction that would exceed them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import update

from searchsvc.domain import Budget, FileMade, Job, Outcome, Token, TrialState, new_id
from searchsvc.errors import LimitExceeded
from searchsvc.store import Store
from searchsvc.store.access.quotas import DAYS, Quota
from searchsvc.store.database import Database
from searchsvc.store.tables import jobs
from tests.support.jobs import Clock, a_spec, add_trials

DAY = 86_400.0


@pytest.fixture
def clock() -> Clock:
    return Clock(1e9)


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    opened = Store.open(database_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def owner(store: Store) -> Token:
    token = Token(new_id(), "ci", "submit", 0.0, None, None, None)
    store.add_token(token, "hash")
    return token


def submit(store: Store, owner: Token | None, quota: Quota, trials: int = 10) -> Job:
    owner_id = owner.id if owner else None
    return store.create_job(a_spec(budget={"trials": trials}), owner_id=owner_id, quota=quota)[0]


def test_open_jobs_are_counted_until_they_end(store: Store, owner: Token) -> None:
    quota = Quota(open_jobs=2)
    first, _ = submit(store, owner, quota), submit(store, owner, quota)
    with pytest.raises(LimitExceeded, match="2 open jobs, and its limit is 2") as full:
        submit(store, owner, quota)
    assert "(SEARCHSVC_LIMIT_OPEN_JOBS): wait until a job ends" in str(full.value)
    assert full.value.retry_after_seconds
    store.pause_job(first.id)
    with pytest.raises(LimitExceeded):
        submit(store, owner, quota)
    store.cancel_job(first.id)
    submit(store, owner, quota)
    assert len(store.jobs()) == 3, "a refused job is not stored"
    with pytest.raises(LimitExceeded):
        store.extend_job(first.id, Budget(trials=20), quota=quota)


def test_others_are_not_affected(store: Store, owner: Token) -> None:
    quota = Quota(open_jobs=1, open_trials=10)
    submit(store, owner, quota)
    namesake = Token(new_id(), owner.name, "submit", 0.0, None, None, None)
    store.add_token(namesake, "another hash")
    submit(store, namesake, quota)
    for _ in range(2):
        submit(store, None, quota)
    assert len(store.jobs()) == 4


def test_open_trials_are_those_that_the_budgets_leave(store: Store, owner: Token) -> None:
    quota = Quota(open_trials=100)
    job = submit(store, owner, quota, trials=60)
    with pytest.raises(LimitExceeded, match=r"60 open trials, and its limit is 100 .*: ask for fewer than 41 more"):
        submit(store, owner, quota, trials=41)
    with pytest.raises(LimitExceeded):
        store.extend_job(job.id, Budget(trials=101), quota=quota)
    store.extend_job(job.id, Budget(trials=100), quota=quota)
    claimed = store.claim_job(job.id, "test", 60.0)
    assert claimed is not None
    trials = add_trials(store, claimed[1], 5)
    writer = store.writer(claimed[1])
    for number, trial in enumerate(trials):
        writer.start_attempt(trial, 1, "node", 1, 0.0)
        writer.finish(trial, 1, Outcome(TrialState.SUCCEEDED, files=(FileMade("model", 1000, "0" * 64),)), number)
    writer.flush()
    submit(store, owner, quota, trials=5)
    with pytest.raises(LimitExceeded, match="100 open trials"):
        submit(store, owner, quota, trials=1)
    with pytest.raises(LimitExceeded, match="5,000 bytes of files, and its limit is 5,000"):
        submit(store, owner, Quota(bytes=5000))
    submit(store, owner, Quota(bytes=5001))


@pytest.mark.parametrize("column", ["seconds", "gpu_seconds"])
def test_seconds_count_for_thirty_days(
    store: Store, owner: Token, clock: Clock, database_url: str, column: str
) -> None:
    quota = Quota(**{column: 3600})
    job = submit(store, owner, quota)
    database = Database(database_url, wait_seconds=5)
    for used, is_refused in ((3599.0, False), (3600.0, True)):
        change = update(jobs).where(jobs.c.id == job.id).values({f"{column}_used": used})
        database.write(lambda connection, change=change: connection.execute(change))
        if is_refused:
            with pytest.raises(LimitExceeded, match=r"3,600 .*seconds of jobs of the last 30 days"):
                submit(store, owner, quota)
        else:
            submit(store, owner, quota)
    database.close()
    clock.now += DAYS * DAY + 1
    submit(store, owner, quota)


def test_requests_at_once_do_not_exceed_a_quota_together(store: Store, owner: Token) -> None:
    outcomes, start = list[str](), threading.Barrier(8)

    def one() -> None:
        start.wait(30)
        try:
            submit(store, owner, Quota(open_jobs=3))
            outcomes.append("stored")
        except LimitExceeded:
            outcomes.append("refused")

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["refused"] * 5 + ["stored"] * 3

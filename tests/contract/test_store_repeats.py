"""A write whose answer is lost after the commit is executed again, and takes effect once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from searchsvc.domain import Lease, Measurement, new_id
from searchsvc.errors import NotFound
from searchsvc.store import Store
from searchsvc.store.database import Database
from tests.support.jobs import TTL_SECONDS, Clock, a_claimed_job, a_proposal, a_spec, add_trials


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    opened = Store.open(database_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def twice(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function from whose call on each transaction is committed, and then executed once more."""
    write = Database.write

    def repeated(database: Database, transaction: Callable[..., Any]) -> Any:
        write(database, transaction)
        return write(database, transaction)

    return lambda: monkeypatch.setattr(Database, "write", repeated)


def test_a_repeated_heartbeat_counts_its_time_once(store: Store, clock: Clock, twice: Callable[[], None]) -> None:
    job, lease = a_claimed_job(store)
    twice()
    clock.now += 1
    answered = store.heartbeat(lease, TTL_SECONDS, seconds=2.0, gpu_seconds=4.0)
    assert (answered.seconds_used, answered.gpu_seconds_used) == (2.0, 4.0)
    assert answered == store.job(job.id)


def test_a_repeated_claim_takes_one_job(store: Store, twice: Callable[[], None]) -> None:
    jobs = [store.create_job(a_spec())[0].id for _ in range(3)]
    twice()
    claimed = store.claim("driver", TTL_SECONDS)
    assert claimed is not None
    assert [lease.job_id for lease in store.leases()] == [claimed[0].id] == jobs[:1]
    assert claimed[1].epoch == store.job(jobs[0]).epoch == 1
    mine = store.claim_job(jobs[1], "driver", TTL_SECONDS)
    assert mine is not None
    assert (mine[0], mine[1].epoch) == (store.job(jobs[1]), 1)


def test_a_repeated_batch_is_written_once(store: Store, twice: Callable[[], None]) -> None:
    _, lease = a_claimed_job(store)
    [trial_id] = add_trials(store, lease, 1)
    twice()
    writer = store.writer(lease)
    measured = Measurement(1, {"accuracy": 0.5}, 1.0)
    writer.add_trials([(new_id(), 1, a_proposal(1, rejected={"flops": 3}))])
    writer.start_attempt(trial_id, 1, None, None, 0.0)
    writer.measure(trial_id, measured, measured)
    writer.count_ask(0.5)
    writer.event("test.happened", {})
    writer.flush()
    assert store.rejections(lease.job_id)[0] == {"flops": 3}
    assert [attempt.number for attempt in store.attempts(trial_id)] == [1]
    assert store.measurements(trial_id) == [measured]
    assert store.statistics().asks == 1
    assert [event.kind for event in store.events(job_id=lease.job_id)].count("test.happened") == 1


def test_a_repeated_release_gives_one_event(store: Store, twice: Callable[[], None]) -> None:
    job, lease = a_claimed_job(store)
    before = store.last_sequence()
    twice()
    store.release(lease)
    assert len(store.events(after=before, job_id=job.id)) <= 1
    assert store.leases() == []


def test_a_repeated_deletion_is_no_failure_and_one_event(store: Store, twice: Callable[[], None]) -> None:
    job, _ = store.create_job(a_spec())
    other, _ = store.create_job(a_spec())
    store.delete_job(other.id)
    twice()
    store.delete_job(job.id)
    with pytest.raises(NotFound, match=job.id):
        store.job(job.id)
    deleted = [event.job_id for event in store.events(after=0) if event.kind == "job.deleted"]
    assert sorted(deleted) == sorted([job.id, other.id])


def test_a_deletion_of_no_job_or_of_a_deleted_job_is_not_found(store: Store) -> None:
    job, _ = store.create_job(a_spec())
    with pytest.raises(NotFound, match="no job missing"):
        store.delete_job("missing")
    store.delete_job(job.id)
    with pytest.raises(NotFound, match=job.id):
        store.delete_job(job.id)


def test_a_heartbeat_of_another_lease_is_no_repetition(store: Store) -> None:
    _, lease = a_claimed_job(store)
    for _ in range(2):
        store.heartbeat(Lease(lease.job_id, lease.holder, lease.epoch, 0.0), TTL_SECONDS, seconds=1.0, gpu_seconds=0.5)
    job = store.job(lease.job_id)
    assert (job.seconds_used, job.gpu_seconds_used) == (2.0, 1.0)

"""A job is run by a single driver at a time, and a driver that lost its job changes nothing any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, update

from searchsvc.domain import JobRequest, JobState, Lease, Measurement
from searchsvc.errors import LeaseLost
from searchsvc.store import JobWriter, Store
from searchsvc.store.tables import jobs
from tests.support.jobs import DONE, TTL_SECONDS, Clock, a_claimed_job, a_proposal, a_spec, add_trials

_ONE = Measurement(1, {"accuracy": 0.5}, 1.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    opened = Store.open(database_url, clock=clock)
    yield opened
    opened.close()


def claim(store: Store, holder: str = "driver") -> Lease:
    claimed = store.claim(holder, TTL_SECONDS)
    assert claimed is not None
    return claimed[1]


def test_a_claim_takes_the_oldest_waiting_job_and_makes_it_run(store: Store, clock: Clock) -> None:
    ids = [store.create_job(a_spec())[0].id for _ in range(3)]
    store.pause_job(ids[0])
    claimed = store.claim("one", TTL_SECONDS)
    assert claimed is not None
    job, lease = claimed
    assert lease == Lease(ids[1], "one", 1, clock.now + TTL_SECONDS)
    assert (job.state, job.epoch, job.started_at) == (JobState.RUNNING, 1, clock.now)
    assert job == store.job(ids[1])
    assert claim(store).job_id == ids[2]
    assert store.claim("two", TTL_SECONDS) is None
    assert [one.job_id for one in store.leases()] == ids[1:]


def test_a_claim_of_one_job_gives_nothing_where_it_has_a_driver_or_needs_none(store: Store) -> None:
    job, _ = store.create_job(a_spec())
    assert store.claim_job(job.id, "one", TTL_SECONDS) is not None
    assert store.claim_job(job.id, "two", TTL_SECONDS) is None
    paused = store.pause_job(store.create_job(a_spec())[0].id)
    assert store.claim_job(paused.id, "one", TTL_SECONDS) is None


@pytest.mark.parametrize("stopping", [False, True])
def test_a_job_is_taken_over_when_its_lease_has_expired(store: Store, stopping: bool) -> None:
    job, lease = a_claimed_job(store)
    if stopping:
        store.stop_job(job.id)
    assert store.claim("two", TTL_SECONDS) is None
    taken = store.claim("two", TTL_SECONDS, store.lease_marks())
    assert taken is not None
    assert (taken[1].epoch, taken[0].state) == (2, JobState.STOPPING if stopping else JobState.RUNNING)
    assert taken[0].started_at == job.started_at
    with pytest.raises(LeaseLost):
        store.heartbeat(lease, TTL_SECONDS, seconds=1, gpu_seconds=0)


def test_a_late_holder_keeps_a_job_that_nobody_else_claimed(store: Store, clock: Clock) -> None:
    _, lease = a_claimed_job(store)
    clock.now = lease.deadline + 100
    store.heartbeat(lease, TTL_SECONDS, seconds=0, gpu_seconds=0)
    assert store.leases() == [Lease(lease.job_id, lease.holder, 1, clock.now + TTL_SECONDS)]
    assert store.claim("two", TTL_SECONDS) is None


@pytest.mark.parametrize("step", [-3600.0, 5.0, 3600.0])
def test_a_step_of_the_clock_neither_takes_a_lease_nor_keeps_one(store: Store, clock: Clock, step: float) -> None:
    job, lease = a_claimed_job(store)
    clock.now += step
    assert store.claim("two", TTL_SECONDS) is None
    assert store.claim_job(job.id, "two", TTL_SECONDS) is None
    taken = store.claim_job(job.id, "two", TTL_SECONDS, store.lease_marks())
    assert taken is not None
    assert taken[1] == Lease(job.id, "two", lease.epoch + 1, clock.now + TTL_SECONDS)


def test_a_lease_that_was_renewed_since_it_was_seen_is_not_taken(store: Store) -> None:
    job, lease = a_claimed_job(store)
    seen = store.lease_marks()
    store.heartbeat(lease, TTL_SECONDS, seconds=0, gpu_seconds=0)
    assert store.claim("two", TTL_SECONDS, seen) is None
    assert store.claim_job(job.id, "two", TTL_SECONDS, seen) is None
    another, _ = store.create_job(a_spec())
    claimed = store.claim("two", TTL_SECONDS, seen)  # passes over the renewed lease
    assert claimed is not None
    assert claimed[0].id == another.id


def test_of_two_claimers_that_saw_the_same_mark_only_the_first_takes_the_job(store: Store) -> None:
    a_claimed_job(store)
    seen = store.lease_marks()
    first = store.claim("two", TTL_SECONDS, seen)
    assert first is not None
    assert store.claim("three", TTL_SECONDS, seen) is None
    assert [lease.holder for lease in store.leases()] == ["two"]


def test_a_heartbeat_that_waited_for_the_lock_renews_the_lease_from_its_commit(
    database_url: str, store: Store, clock: Clock
) -> None:
    """While another connection holds the lock for longer than a lease, the driver's beat waits, and then counts."""
    _, lease = a_claimed_job(store)
    blocker = Store.open(database_url)
    began, go_on = threading.Event(), threading.Event()

    def block(connection: Connection) -> None:
        connection.execute(update(jobs).where(jobs.c.id == lease.job_id).values(revision=jobs.c.revision))
        began.set()
        go_on.wait(60)

    with ThreadPoolExecutor(2) as pool:
        blocking = pool.submit(blocker._database.write, block)
        assert began.wait(60)
        beat = pool.submit(store.heartbeat, lease, TTL_SECONDS, seconds=0, gpu_seconds=0)
        clock.now += 2 * TTL_SECONDS  # the stall
        go_on.set()
        blocking.result(60)
        beat.result(60)
    blocker.close()
    assert [held.deadline for held in store.leases()] == [clock.now + TTL_SECONDS]


@pytest.mark.postgres
def test_leases_on_postgresql_end_by_the_clock_of_the_server(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("searchsvc.store.base.time.time", lambda: 1000.0)  # a machine whose clock is wrong
    store = Store.open(postgres_url)
    job, lease = a_claimed_job(store)
    assert lease.deadline == pytest.approx(store.now() + TTL_SECONDS, abs=60)
    assert store.now() > 1_700_000_000
    paused = store.pause_job(job.id)
    assert (paused.state, paused.request) == (JobState.RUNNING, JobRequest.PAUSE)  # the driver is seen alive
    store.close()


def test_a_heartbeat_adds_the_time_used_and_tells_what_is_asked(store: Store) -> None:
    job, lease = a_claimed_job(store)
    store.pause_job(job.id)
    store.heartbeat(lease, TTL_SECONDS, seconds=0.5, gpu_seconds=0.25)
    job = store.heartbeat(lease, TTL_SECONDS, seconds=0.5, gpu_seconds=0.25)
    assert (job.seconds_used, job.gpu_seconds_used, job.request) == (1.0, 0.5, JobRequest.PAUSE)


def test_a_released_job_can_be_claimed_at_once_and_its_old_driver_is_out(store: Store) -> None:
    _, lease = a_claimed_job(store)
    writer = store.writer(lease)
    store.release(lease)
    assert store.leases() == []
    writer.event("driver.note", {})
    with pytest.raises(LeaseLost):
        writer.flush()
    with pytest.raises(LeaseLost):
        store.heartbeat(lease, TTL_SECONDS, seconds=1, gpu_seconds=0)
    assert claim(store).epoch == 2
    store.release(lease)  # no effect, because another driver has the lease now
    assert [one.epoch for one in store.leases()] == [2]


def everything_a_store_holds(store: Store, job_id: str, trial_id: str) -> list[object]:
    readings: list[Callable[[], object]] = [
        lambda: store.job(job_id),
        lambda: store.all_trials(job_id),
        lambda: store.attempts(trial_id),
        lambda: store.measurements(trial_id),
        lambda: store.trial_counts(job_id),
        lambda: store.rejections(job_id),
        store.leases,
        lambda: store.events(after=0),
    ]
    return [read() for read in readings]


@pytest.mark.parametrize(
    "write",
    [
        lambda writer, _: writer.add_trials([("new", 1, a_proposal(1, rejected={"flops": 3}))]),
        lambda writer, trial_id: writer.start_attempt(trial_id, 1, None, None, 0.0),
        lambda writer, trial_id: writer.measure(trial_id, _ONE, _ONE),
        lambda writer, trial_id: writer.finish(trial_id, 1, DONE, 0),
        lambda writer, trial_id: writer.record_test(trial_id, {"accuracy": 0.4}),
        lambda writer, _: writer.count_rejections({"flops": 1}, 1),
        lambda writer, _: writer.event("note", {}),
        lambda writer, _: writer.finish_job(JobState.SUCCEEDED),
    ],
)
def test_no_write_with_an_old_epoch_changes_anything(store: Store, write: Callable[[JobWriter, str], None]) -> None:
    _, lease = a_claimed_job(store)
    [trial_id] = add_trials(store, lease, 1)
    writer = store.writer(lease)
    assert store.claim("other", TTL_SECONDS, store.lease_marks()) is not None
    before = everything_a_store_holds(store, lease.job_id, trial_id)
    write(writer, trial_id)
    with pytest.raises(LeaseLost):
        writer.flush()
    assert everything_a_store_holds(store, lease.job_id, trial_id) == before


def test_a_running_job_shows_what_it_waits_for_and_each_reason_is_one_event(store: Store) -> None:
    job, lease = a_claimed_job(store)
    for reason in ("waits for Ray", "waits for Ray", None, "needs 1 GPU"):
        assert store.report_wait(lease, reason).reason == reason
    waiting = [event.data for event in store.events(job_id=job.id) if event.kind == "job.waiting"]
    assert waiting == [{"reason": "waits for Ray"}, {"reason": "needs 1 GPU"}]
    assert (store.job(job.id).state, store.job(job.id).reason) == (JobState.RUNNING, "needs 1 GPU")
    store.release(lease)
    with pytest.raises(LeaseLost):
        store.report_wait(lease, None)

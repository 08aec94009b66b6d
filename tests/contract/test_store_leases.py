"""A job is run by a single driver at a time, and a driver that lost its job changes nothing any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from searchsvc.domain import JobRequest, JobState, Lease, Measurement
from searchsvc.errors import LeaseLost
from searchsvc.store import JobWriter, Store
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
def test_a_job_is_taken_over_when_its_lease_has_run_out(store: Store, clock: Clock, stopping: bool) -> None:
    job, lease = a_claimed_job(store)
    if stopping:
        store.stop_job(job.id)
    clock.now = lease.deadline - 0.001
    assert store.claim("two", TTL_SECONDS) is None
    clock.now = lease.deadline
    taken = store.claim("two", TTL_SECONDS)
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
def test_no_write_with_an_old_epoch_changes_anything(
    store: Store, clock: Clock, write: Callable[[JobWriter, str], None]
) -> None:
    _, lease = a_claimed_job(store)
    [trial_id] = add_trials(store, lease, 1)
    writer = store.writer(lease)
    clock.now = lease.deadline
    claim(store, "other")
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

"""The heartbeat: what it stores of the job's time and of the reason for waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchsvc.domain import JobState
from searchsvc.errors import LeaseLost, StoreUnavailable
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.jobs import a_claimed_job
from workers.driver.heartbeat import Cause, Heartbeat, UsedTime
from workers.driver.interruption import Interrupted, Reason, StopRequests


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path).prepare()


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store.create(settings.database_url)
    yield opened
    opened.close()


@pytest.fixture
def heartbeat(settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch) -> Heartbeat:
    """A heartbeat that beats when the test says so, on the clock of the test."""
    job, lease = a_claimed_job(store)
    monkeypatch.setattr(UsedTime.__init__, "__defaults__", (lambda: Clock.now,))
    return Heartbeat(store, lease, settings, job, on_lost=lambda: None)


class Clock:
    now = 0.0


def kinds(store: Store, job_id: str) -> list[str]:
    return [event.kind for event in store.events(job_id=job_id)]


def test_a_job_that_waits_shows_the_reason_and_uses_no_time(heartbeat: Heartbeat, store: Store) -> None:
    heartbeat.wait_for(Cause.RAY, "waits for Ray at host:6379: connection refused")
    heartbeat.begin_counting()
    for _ in range(3):
        Clock.now += 1
        heartbeat.beat()
    job = store.job(heartbeat.job.id)
    assert (job.state, job.seconds_used) == (JobState.RUNNING, 0)
    assert job.reason == "waits for Ray at host:6379: connection refused"
    assert kinds(store, job.id).count("job.waiting") == 1
    heartbeat.wait_for(Cause.RAY, None)
    Clock.now += 1
    heartbeat.beat()
    job = store.job(job.id)
    assert (job.reason, job.seconds_used) == (None, 1)


def test_each_new_reason_is_an_event(heartbeat: Heartbeat, store: Store) -> None:
    for reason in ("no GPU", "no GPU", "no memory", None, "no GPU"):
        heartbeat.wait_for(Cause.ROOM, reason)
        heartbeat.beat()
    reasons = [event.data["reason"] for event in store.events(job_id=heartbeat.job.id) if event.kind == "job.waiting"]
    assert reasons == ["no GPU", "no memory", "no GPU"]


def test_the_reason_of_an_earlier_driver_is_over(heartbeat: Heartbeat, store: Store, settings: Settings) -> None:
    heartbeat.wait_for(Cause.RAY, "waits for Ray")
    heartbeat.beat()
    lease = next(lease for lease in store.leases() if lease.job_id == heartbeat.job.id)
    store.release(lease)
    claimed = store.claim("another", 60.0)
    assert claimed is not None
    assert claimed[0].reason == "waits for Ray"
    Heartbeat(store, claimed[1], settings, claimed[0], on_lost=lambda: None).beat()
    assert store.job(heartbeat.job.id).reason is None
    with pytest.raises(LeaseLost):
        heartbeat.beat()


def test_an_outage_of_the_database_counts_no_longer_than_a_lease(
    heartbeat: Heartbeat, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise StoreUnavailable("down")

    heartbeat.begin_counting()
    with monkeypatch.context() as outage:
        outage.setattr(store, "heartbeat", fails)
        for _ in range(100):
            Clock.now += 10
            with pytest.raises(StoreUnavailable):
                heartbeat.beat()
    heartbeat.gpus_in_use = 2
    heartbeat.beat()
    job = store.job(heartbeat.job.id)
    assert (job.seconds_used, job.gpu_seconds_used) == (settings.lease_seconds, 2 * settings.lease_seconds)
    Clock.now += 0.5
    heartbeat.beat()
    assert store.job(job.id).seconds_used == settings.lease_seconds + 0.5


@pytest.mark.parametrize("verb", ["pause_job", "cancel_job", "stop_job", "SIGTERM"])
def test_every_request_is_heard_while_a_call_lasts(heartbeat: Heartbeat, store: Store, verb: str) -> None:
    requests = StopRequests(heartbeat)
    heartbeat.wait_for(Cause.RAY, "waits for Ray")
    heartbeat.beat()

    def request() -> None:
        if verb == "SIGTERM":
            requests.shutdown = True
        else:
            getattr(store, verb)(heartbeat.job.id)
            heartbeat.beat()
        time.sleep(30)

    with pytest.raises(Interrupted) as interrupted:
        requests.await_result(request)
    expected = {
        "pause_job": Reason.PAUSE,
        "cancel_job": Reason.CANCEL,
        "stop_job": Reason.STOP,
        "SIGTERM": Reason.SHUTDOWN,
    }
    assert interrupted.value.reason is expected[verb]


def test_a_stopped_job_that_does_not_wait_lets_its_trials_finish(heartbeat: Heartbeat, store: Store) -> None:
    store.stop_job(heartbeat.job.id)
    heartbeat.beat()
    StopRequests(heartbeat).check()
    assert heartbeat.draining

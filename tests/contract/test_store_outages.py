"""Cut connections, killed servers, killed processes: a request happens once, and a confirmed write is kept."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import SQLAlchemyError

from searchsvc.domain import Budget, FailureKind, JobState, Lease, Measurement, Outcome, TrialState, new_id
from searchsvc.errors import SearchsvcError, StoreUnavailable
from searchsvc.store import JobWriter, Store
from tests.support import drivers
from tests.support.jobs import TTL_SECONDS, a_claimed_job, a_proposal, a_spec, add_trials
from tests.support.postgres import PostgresServer
from tests.support.system import wait_for

_REQUEST = new_id()


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[Store]:
    opened = Store.open(postgres_url)
    yield opened
    opened.close()


@dataclass(frozen=True, slots=True)
class Scene:
    """A job under a driver with a QUEUED and a FAILED trial, a paused job, and two waiting jobs."""

    lease: Lease
    trial_id: str
    paused: str
    writer: JobWriter

    @classmethod
    def build(cls, store: Store) -> Scene:
        _, lease = a_claimed_job(store)
        trial_id, failed = add_trials(store, lease, 2)
        writer = store.writer(lease)
        writer.finish(failed, 0, Outcome(TrialState.FAILED, FailureKind.ERROR), 0)
        writer.flush()
        paused = store.pause_job(store.create_job(a_spec())[0].id).id
        for _ in range(2):
            store.create_job(a_spec())
        return cls(lease, trial_id, paused, writer)

    def write_a_batch(self) -> None:
        measured = Measurement(1, {"accuracy": 0.5}, 1.0)
        self.writer.add_trials([(new_id(), 2, a_proposal(2, rejected={"flops": 2}))])
        self.writer.start_attempt(self.trial_id, 1, None, None, 0.0)
        self.writer.measure(self.trial_id, measured, measured)
        self.writer.finish(self.trial_id, 1, Outcome(TrialState.SUCCEEDED), 1)
        self.writer.flush()

    def end_the_job(self) -> None:
        self.writer.finish_job(JobState.FAILED, "crashed")
        self.writer.flush()


def what_is_stored(store: Store) -> list[object]:
    """Return all stored data without ids and times, which differ from store to store."""
    jobs = store.jobs()
    return [
        [(one.state, one.request, one.epoch, one.revision, one.seconds_used, one.reason) for one in jobs],
        [store.trial_counts(one.id) for one in jobs],
        [store.rejections(one.id) for one in jobs],
        [(one.number, one.state, one.told, one.step) for job in jobs for one in store.all_trials(job.id)],
        [(number, one) for job in jobs for _, number, one in store.job_measurements(job.id)],
        [event.kind for event in store.events(after=0)],
        [lease.epoch for lease in store.leases()],
    ]


@pytest.mark.postgres
@pytest.mark.parametrize("committed", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize(
    "operation",
    [
        lambda store, _: store.create_job(a_spec(), request_id=_REQUEST),
        lambda store, _: store.claim("other", TTL_SECONDS),
        lambda store, scene: store.heartbeat(scene.lease, TTL_SECONDS, seconds=1.0, gpu_seconds=0.5),
        lambda store, scene: store.release(scene.lease),
        lambda store, scene: store.retry_job(scene.lease.job_id),
        lambda store, scene: store.extend_job(scene.paused, Budget(trials=1000)),
        lambda store, scene: store.cancel_job(scene.paused),
        lambda store, scene: store.delete_job(scene.paused),
        lambda _, scene: scene.write_a_batch(),
        lambda _, scene: scene.end_the_job(),
    ],
    ids=["create", "claim", "heartbeat", "release", "retry", "extend", "cancel", "delete", "flush", "finish_job"],
)
def test_what_is_cut_off_at_its_commit_happens_once(
    postgres_store: Store,
    postgres_server: PostgresServer,
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    operation: Callable[[Store, Scene], object],
    committed: bool,
) -> None:
    undisturbed = Store.open(sqlite_url)
    operation(undisturbed, Scene.build(undisturbed))
    scene = Scene.build(postgres_store)
    cuts = [True]
    commit = PGDialect_psycopg.do_commit

    def commit_and_be_cut_once(dialect: PGDialect_psycopg, connection: Any) -> None:
        if not cuts:
            return commit(dialect, connection)
        cuts.clear()
        if committed:
            commit(dialect, connection)
        postgres_server.execute(f"SELECT pg_terminate_backend({connection.dbapi_connection.info.backend_pid}, 5000)")
        connection.dbapi_connection.execute("SELECT 1")  # the error that a waiting client receives
        raise AssertionError("the connection lives")

    monkeypatch.setattr(PGDialect_psycopg, "do_commit", commit_and_be_cut_once)
    operation(postgres_store, scene)
    assert not cuts
    assert what_is_stored(postgres_store) == what_is_stored(undisturbed)
    undisturbed.close()


class Load:
    """Threads that use a store without a break, and count confirmed calls."""

    def __init__(self, store: Store, lease: Lease, trial_id: str) -> None:
        self._store, self._lease, self._trial_id = store, lease, trial_id
        self._writer = store.writer(lease)
        self._stop = threading.Event()
        self.done = {"measured": 0, "beaten": 0, "submitted": 0, "looked": 0}
        self.failures: list[Exception] = []
        self._threads = [threading.Thread(target=self._repeat, args=(name,)) for name in self.done]

    def measured(self) -> None:
        step = self.done["measured"] + 1
        self._writer.measure(self._trial_id, measurement := Measurement(step, {"accuracy": 0.5}, 1.0), measurement)
        self._writer.flush()

    def beaten(self) -> None:
        self._store.heartbeat(self._lease, TTL_SECONDS, seconds=1.0, gpu_seconds=0.0)

    def submitted(self) -> None:
        self._store.create_job(a_spec())

    def looked(self) -> None:
        self._store.trials(self._lease.job_id)
        self._store.events(after=self._store.last_sequence() - 5)

    def _repeat(self, name: str) -> None:
        try:
            while not self._stop.is_set():
                getattr(self, name)()
                self.done[name] += 1
        except (SearchsvcError, SQLAlchemyError) as error:
            self.failures.append(error)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def wait_until_all_went_on(self) -> None:
        """Wait until each kind of call was confirmed at least twice: the second began after the call of this method."""
        before = dict(self.done)
        wait_for(
            lambda: self.failures or all(self.done[name] >= before[name] + 2 for name in before),
            seconds=60,
            message=f"not all went on after {before}",
        )

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


@pytest.mark.postgres
def test_every_call_rides_out_a_server_that_is_killed_and_comes_back(
    postgres_store: Store, postgres_server: PostgresServer
) -> None:
    store = postgres_store
    _, lease = a_claimed_job(store)
    [trial_id] = add_trials(store, lease, 1)
    with Load(store, lease, trial_id) as load:
        for _ in range(3):
            load.wait_until_all_went_on()
            postgres_server.restart(away_seconds=0.3)
        load.wait_until_all_went_on()
    assert load.failures == []
    assert [one.step for one in store.measurements(trial_id)] == list(range(1, load.done["measured"] + 1))
    assert store.job(lease.job_id).seconds_used == load.done["beaten"]
    assert sum(store.statistics().jobs.values()) == 1 + load.done["submitted"]
    sequences = [event.sequence for event in store.events(after=0, limit=100_000)]
    assert sequences == sorted(set(sequences))


@pytest.mark.postgres
def test_a_server_that_stays_away_is_reported_and_the_batch_is_kept(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    store = Store.open(postgres_url, wait_seconds=0.5)
    _, lease = a_claimed_job(store)
    [trial_id] = add_trials(store, lease, 1)
    writer = store.writer(lease)
    writer.start_attempt(trial_id, 1, None, None, 0.0)
    postgres_server.kill9()
    try:
        with pytest.raises(StoreUnavailable, match=r"did not answer within 0.5 s"):
            writer.flush()
        with pytest.raises(StoreUnavailable):
            store.ping()
        writer.finish(trial_id, 1, Outcome(TrialState.SUCCEEDED), 0)
        assert len(writer) == 2
    finally:
        postgres_server.start()
    writer.flush()
    assert len(writer) == 0
    assert store.trial(trial_id).state is TrialState.SUCCEEDED
    assert [event.kind for event in store.events(after=0)].count("trial.started") == 1
    store.close()


def test_a_database_that_another_process_keeps_locked_is_waited_for_and_then_reported(sqlite_url: str) -> None:
    store, patient = Store.open(sqlite_url, wait_seconds=0.3), Store.open(sqlite_url, wait_seconds=20)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        store.create_job(a_spec())
    assert store.jobs() == []  # readers continue
    unlock = threading.Timer(0.5, other.rollback)
    unlock.start()
    assert patient.create_job(a_spec())[1]
    unlock.join()
    other.close()
    store.close()
    patient.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_process_killed_at_any_moment_has_lost_nothing_that_it_had_flushed(
    store: Store, database_url: str, seed: int
) -> None:
    store.create_job(a_spec())
    process = drivers.start(database_url, "driver", trials=5, steps=100_000)
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline()) for _ in range(5)]
    time.sleep(random.Random(seed).uniform(0.0, 0.3))
    process.kill()
    lines += [json.loads(line) for line in process.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
    _, job_id, trials, step = lines[-1]
    stored = [(number, one.step) for _, number, one in store.job_measurements(job_id, limit=1_000_000)]
    assert len(stored) % trials == 0  # a batch is stored completely or not at all
    last = len(stored) // trials
    assert step <= last <= step + 1
    assert stored == [(number, step) for step in range(1, last + 1) for number in range(trials)]
    assert [trial.step for trial in store.all_trials(job_id)] == [last] * trials
    measured = [event for event in store.events(after=0, limit=1_000_000) if event.kind == "trial.measured"]
    assert len(measured) == len(stored)

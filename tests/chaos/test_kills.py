"""kill -9 of every part of the service, at random moments under load: nothing is lost, nothing is done twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping

import pytest

from searchsvc.domain import Job
from tests.support.driving import a_spec
from tests.support.guarantees import assert_nothing_lost_and_nothing_twice, assert_proposals_as_if_undisturbed
from tests.support.postgres import PostgresServer
from tests.support.system import WORK, System, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.slow]
Kill = Callable[[], None]
TRIALS, ROUNDS, ATTEMPTS = 24, 2, {"attempts": 20, "concurrency": 2}


class Chaos:
    """Kills parts of a system while it runs a job; after each kill, work continues."""

    def __init__(self, system: System, job: Job, seed: int) -> None:
        self.system, self.job, self.moments = system, job, random.Random(seed)

    def run(self, kills: Mapping[str, Kill]) -> None:
        """Do each kind of kill once per round, in random order, each at a random moment while work is in progress."""
        order = list(kills) * ROUNDS
        self.moments.shuffle(order)
        self.system.seconds_until_work(self.job.id, after=0, claimed_anew=True)
        for name in order:
            time.sleep(self.moments.uniform(0.0, 0.6))
            after = self.system.store.last_sequence()
            assert not self.system.store.job(self.job.id).state.is_final, f"the job ended before {order} was done"
            kills[name]()
            self.system.seconds_until_work(self.job.id, after=after, claimed_anew=name == "driver")

    def kill_worker(self) -> None:
        [worker, *_] = wait_for(lambda: self.system.workers(self.job.id), seconds=30, message="no worker trains")
        worker.kill()

    def kill_driver(self) -> None:
        [driver] = wait_for(lambda: self.system.drivers(self.job.id), seconds=30, message="no driver runs")
        driver.kill()

    def kill_controller(self) -> None:
        self.system.kill("controller")
        self.system.start_controller()

    def kill_api(self) -> None:
        self.system.kill("api")
        self.system.start_api()
        with self.system.client() as client:
            assert client.get(f"/jobs/{self.job.id}")["state"] in ("RUNNING", "SUCCEEDED")
            first = next(iter(client.events(f"/jobs/{self.job.id}/events")))
        assert first.data["kind"] == "job.submitted"


class Listener:
    """A client that follows the job's event stream whatever happens to the API."""

    def __init__(self, system: System, job: Job) -> None:
        self.system, self.job, self.sequences = system, job, list[int]()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with self.system.client() as client:
            for event in client.events(f"/jobs/{self.job.id}/events", until_final=True):
                self.sequences.append(event.data["sequence"])

    def assert_heard_everything_once(self) -> None:
        self._thread.join(30)
        assert self.sequences == [event.sequence for event in self.system.events(self.job.id)]


def finish(chaos: Chaos, listener: Listener, *, trials: int, epochs: int) -> None:
    """Wait for the job's end, and check every promise about it."""
    system, job_id = chaos.system, chaos.job.id
    wait_for(lambda: system.store.job(job_id).state.is_final, seconds=60, message="the job does not end")
    assert_nothing_lost_and_nothing_twice(system.store, job_id, trials=trials, epochs=epochs)
    assert_proposals_as_if_undisturbed(system.store, job_id, system.settings)
    listener.assert_heard_everything_once()
    assert system.events(job_id, *WORK)[-1].sequence < system.events(job_id, "job.succeeded")[0].sequence


@pytest.mark.postgres
@pytest.mark.timeout(240)
def test_a_job_on_postgresql_outlives_the_death_of_every_part(system: System, postgres_server: PostgresServer) -> None:
    spec = a_spec(trials=TRIALS, epochs=8, seconds=0.3, algorithm={"name": "tpe"}, resources=ATTEMPTS, seed=5)
    job = system.submit(spec)
    listener, chaos = Listener(system, job), Chaos(system, job, seed=11)
    system.start_controller()
    chaos.run(
        {
            "worker": chaos.kill_worker,
            "driver": chaos.kill_driver,
            "controller": chaos.kill_controller,
            "api": chaos.kill_api,
            "postgresql": lambda: postgres_server.restart(away_seconds=chaos.moments.uniform(0.0, 1.0)),
        }
    )
    finish(chaos, listener, trials=TRIALS, epochs=8)


@pytest.mark.timeout(240)
def test_a_job_on_sqlite_outlives_the_death_of_every_part(
    sqlite_url: str, start_system: Callable[[str], System]
) -> None:
    system = start_system(sqlite_url)
    spec = a_spec(trials=16, epochs=8, seconds=0.25, algorithm={"name": "evolution"}, resources=ATTEMPTS, seed=6)
    job = system.submit(spec)
    listener, chaos = Listener(system, job), Chaos(system, job, seed=12)
    system.start_controller()
    chaos.run(
        {
            "worker": chaos.kill_worker,
            "driver": chaos.kill_driver,
            "controller": chaos.kill_controller,
            "api": chaos.kill_api,
        }
    )
    finish(chaos, listener, trials=16, epochs=8)

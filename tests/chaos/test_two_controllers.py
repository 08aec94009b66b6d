"""Two controllers share a database, and one of them dies: every job is run by a single driver at a time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from searchsvc.domain import Job
from tests.support.driving import a_spec
from tests.support.guarantees import assert_nothing_lost_and_nothing_twice, assert_proposals_as_if_undisturbed
from tests.support.system import System, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.postgres]
JOBS, TRIALS, EPOCHS = 3, 8, 6


class Watch:
    """Counts the drivers of each job, all the time."""

    def __init__(self, system: System) -> None:
        self.system, self.most, self.samples = system, Counter[str](), 0
        self._stop, self._thread = threading.Event(), threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            self.most |= Counter(str(self.system.job_of(one)) for one in self.system.drivers())
            self.samples += 1

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)


def holders(system: System, jobs: Sequence[Job]) -> dict[str, str]:
    """Return, for each job, the controller that claimed it last."""
    claims = {job.id: system.events(job.id, "job.claimed") for job in jobs}
    return {job_id: of_job[-1].data["holder"] for job_id, of_job in claims.items() if of_job}


@pytest.mark.timeout(240)
def test_the_jobs_of_a_dead_controller_are_run_by_the_other_and_never_twice(system: System) -> None:
    system.environment["SEARCHSVC_MAX_DRIVERS"] = "2"  # so that both have work
    system.start_controller("first")
    system.start_controller("second")
    limits = {"attempts": 20, "concurrency": 1, "cpu": 0.5}  # room for all jobs at once
    jobs = [system.submit(a_spec(trials=TRIALS, epochs=EPOCHS, seconds=0.3, resources=limits)) for _ in range(JOBS)]
    watch = Watch(system)
    wait_for(lambda: len(holders(system, jobs)) == JOBS, seconds=60, message="not every job is claimed")
    for job in jobs:
        system.seconds_until_work(job.id, after=0, claimed_anew=True)
    after = system.store.last_sequence()
    system.kill("first")
    orphans = [driver for driver in system.drivers() if driver.ppid() != system.pid("second")]
    taken_over = [str(system.job_of(driver)) for driver in orphans]
    for driver in orphans:
        driver.kill()
    assert taken_over
    ended = lambda: all(system.store.job(job.id).state.is_final for job in jobs)  # noqa: E731
    wait_for(ended, seconds=120, message="the jobs do not end")
    watch.stop()
    assert watch.samples > 10
    assert all(watch.most[job.id] == 1 for job in jobs), watch.most
    assert len({event.data["holder"] for job in jobs for event in system.events(job.id, "job.claimed")}) == 2
    for job_id in taken_over:
        assert system.events(job_id, "job.claimed", after=after)
    for job in jobs:
        epochs = [event.data["epoch"] for event in system.events(job.id, "job.claimed")]
        assert epochs == list(range(1, len(epochs) + 1))
        assert_nothing_lost_and_nothing_twice(system.store, job.id, trials=TRIALS, epochs=EPOCHS)
        assert_proposals_as_if_undisturbed(system.store, job.id, system.settings)

"""Real drivers on a real local Ray, over a real store: for tests of workers/driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from searchsvc.domain import Event, Job, JobSpec, JobState, Trial, TrialState
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.tasks import install
from workers import cluster
from workers.trials.folders import attempts_in

X = {"type": "float", "name": "x", "low": 0.0, "high": 1.0}


def a_spec(*, task: str = "scripted", trials: int = 4, epochs: int = 3, **changes: Any) -> dict[str, Any]:
    """Return a search over `x`; keys that a spec does not have become parameters of the scripted task with one choice.
    """
    fixed = {name: changes.pop(name) for name in ("fate", "strikes", "seconds", "supernet") if name in changes}
    parameters = [X, *({"type": "categorical", "name": name, "choices": [value]} for name, value in fixed.items())]
    return {
        "name": "a search",
        "task": task,
        "dataset": {"name": "nothing"},
        "space": {"parameters": parameters},
        "objectives": [{"metric": "score"}],
        "algorithm": {"name": "random"},
        "budget": {"trials": trials},
        "fidelity": {"epochs": epochs},
    } | changes


class Rig:
    """A data folder with its database and its Ray head; drivers are started and killed by hand."""

    def __init__(self, data_dir: Path, *, cpus: int = 2, ray_address: str | None = None) -> None:
        """Create the folder. `ray_address`: use the cluster at this address instead of a local head."""
        self.settings = Settings(data_dir=data_dir, database_url=f"sqlite:///{data_dir}/searchsvc.db").prepare()
        self.settings = replace(self.settings, ray_address=ray_address)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
            **self.settings.environment(),
            "PYTHONPATH": install(data_dir / "packages"),
        }
        self.store = Store.create(self.settings.database_url)
        self.log = data_dir / "drivers.log"
        self.drivers: list[subprocess.Popen[bytes]] = []
        if ray_address is None:
            command = [sys.executable, "-m", "workers.cluster", "start", f"--cpus={cpus}"]
            subprocess.run(command, env=self.environment, check=True, timeout=90)

    def close(self) -> None:
        for driver in self.drivers:
            driver.kill()
            driver.wait()
        cluster.stop(self.settings)
        self.store.close()

    def submit(self, document: Mapping[str, Any]) -> Job:
        return self.store.create_job(JobSpec.parse(document))[0]

    def start(self, job: Job, *, prelude: str = "") -> subprocess.Popen[bytes]:
        """Start a driver under a new claim. `prelude`: statements that it runs first."""
        for lease in self.store.leases():
            if lease.job_id == job.id:
                self.store.release(lease)
        claimed = self.store.claim_job(job.id, "the test", self.settings.lease_seconds * 10)
        assert claimed is not None, f"the job is {self.store.job(job.id).state}"
        code = f"{prelude}\nimport sys\nfrom workers.driver.__main__ import main\nsys.exit(main(sys.argv[1:]))"
        program = ["-c", code] if prelude else ["-m", "workers.driver"]
        command = [sys.executable, *program, job.id, str(claimed[1].epoch)]
        environment = self.environment | cluster.client_environment(self.settings)
        with self.log.open("ab") as log:
            driver = subprocess.Popen(command, env=environment, stderr=log, stdout=log, start_new_session=True)
        self.drivers.append(driver)
        return driver

    def finish(self, driver: subprocess.Popen[bytes], job: Job, timeout: float = 90.0) -> Job:
        """Wait until the driver ends by itself."""
        try:
            code = driver.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the driver goes on; {self.tail()}") from None
        assert code == 0, self.tail()
        return self.store.job(job.id)

    def run(self, document: Mapping[str, Any], timeout: float = 90.0) -> Job:
        job = self.submit(document)
        return self.finish(self.start(job), job, timeout)

    def kill(self, driver: subprocess.Popen[bytes]) -> None:
        driver.send_signal(signal.SIGKILL)
        driver.wait()

    def wait(self, condition: Callable[[], Any], timeout: float = 60.0) -> Any:
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < deadline, f"it did not come to pass; {self.tail()}"
            time.sleep(0.05)
        return value

    def wait_for_measurements(self, job: Job, count: int) -> None:
        self.wait(lambda: len(self.store.job_measurements(job.id, after=0, limit=count)) >= count)

    def trials(self, job: Job) -> list[Trial]:
        return self.store.all_trials(job.id)

    def folder(self, job: Job, trial: Trial) -> Path:
        """Return the folder of the newest attempt at a trial."""
        return attempts_in(self.settings.trial_dir(job.id, trial.id))[0]

    def all_events(self, job: Job) -> list[Event]:
        return self.store.events(after=0, job_id=job.id, limit=100_000)

    def events(self, job: Job, kind: str) -> list[Event]:
        return [one for one in self.all_events(job) if one.kind == kind]

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


def assert_complete(rig: Rig, job: Job, *, trials: int, epochs: int) -> None:
    """Assert that the budget is spent exactly, each candidate counts once, and every trial is measured without gaps."""
    finished = rig.trials(job)
    assert rig.store.job(job.id).state is JobState.SUCCEEDED
    assert [trial.number for trial in finished] == list(range(trials))
    assert {trial.state for trial in finished} == {TrialState.SUCCEEDED}
    assert sorted(trial.told for trial in finished if trial.told is not None) == list(range(trials))
    assert len({trial.proposal.candidate.key for trial in finished}) == trials
    for trial in finished:
        assert [one.step for one in rig.store.measurements(trial.id)] == list(range(1, epochs + 1))
        ends = [one.state for one in rig.store.attempts(trial.id)]
        assert ends.count(TrialState.SUCCEEDED) == 1

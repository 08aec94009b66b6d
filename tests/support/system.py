"""The service in separate processes, as an operator runs it, for tests that kill them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from api.cli.client import Client
from api.cli.session import connect
from searchsvc.domain import Event, Job, TrialState
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.postgres import free_port
from tests.support.tasks import install
from workers import cluster

T = TypeVar("T")
SEARCHCTL = str(Path(sys.executable).parent / "searchctl")
WORK = ("trial.started", "trial.measured")


class System:
    """A local Ray, controllers, an API process and their children, sharing a data folder and a database."""

    def __init__(
        self, data_dir: Path, database_url: str, *, cpus: int = 2, ray_address: str | None = None
    ) -> None:
        """Create the folder. `ray_address`: use the cluster at this address instead of a local head."""
        self.port = free_port()
        self.settings = Settings(data_dir=data_dir, database_url=database_url, port=self.port, ray_address=ray_address)
        self.settings.prepare()
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
            **self.settings.environment(),
            "SEARCHSVC_PORT": str(self.port),
            "PYTHONPATH": install(data_dir / "packages"),
        }
        self.store = Store.create(database_url)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        if ray_address is None:
            command = [sys.executable, "-m", "workers.cluster", "start", f"--cpus={cpus}"]
            subprocess.run(command, env=self.environment, check=True, timeout=90)

    # ---- starting, killing, ending ---------------------------------------------------------------------------------

    def start(self, name: str, *command: str, program: Sequence[str] = (SEARCHCTL,)) -> None:
        """Start `searchctl COMMAND`, or another program; its output goes to a file with that name in the data folder.
        """
        with (self.settings.data_dir / f"{name}.out").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [*program, *command], env=self.environment, stdout=output, stderr=output, start_new_session=True
            )

    def start_controller(self, name: str = "controller") -> None:
        self.start(name, "controller")

    def start_api(self) -> None:
        """Start the API and wait until it answers."""
        self.start("api", "serve", "--no-controller")
        wait_for(self._is_ready, seconds=30, message=f"the API does not answer: {self.output('api')}")

    def kill(self, name: str) -> None:
        """Kill -9 a process that was started here; its children live on."""
        self._processes[name].kill()
        self._processes[name].wait(timeout=10)

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def is_running(self, name: str) -> bool:
        """Return whether a process that was started here has not ended."""
        return self._processes[name].poll() is None

    def stop(self) -> None:
        """End everything, including the local Ray."""
        try:
            for name in self._processes:
                self.kill(name)
            for driver in self.drivers():
                driver.kill()
        finally:
            cluster.stop(self.settings)
            self.store.close()

    # ---- what runs -------------------------------------------------------------------------------------------------

    def drivers(self, job_id: str | None = None) -> list[psutil.Process]:
        """Return the driver processes of this data folder that currently run the given job, or any job."""
        candidates = [(one, self.job_of(one)) for one in psutil.process_iter()]
        return [one for one, of in candidates if of is not None and job_id in (None, of)]

    def job_of(self, process: psutil.Process) -> str | None:
        """Return the job whose log a driver process writes; None if it is no driver, or waits for a job.

        For a moment, a program that a driver starts is a copy of the driver; it leads no session.
        """
        try:
            if "workers.driver" not in process.cmdline() or os.getsid(process.pid) != process.pid:
                return None
            logs = [Path(file.path) for file in process.open_files() if file.path.endswith(".log")]
        except (psutil.Error, ProcessLookupError):
            return None
        jobs = [log.stem for log in logs if log.parent == self.settings.logs_dir]
        return next((job_id for job_id in jobs if job_id != "standby"), None)

    def workers(self, job_id: str) -> list[psutil.Process]:
        """Return the processes that currently train a trial of the job, by its running attempts."""
        running = self.store.trials(job_id, state=TrialState.RUNNING, limit=100)
        pids = {self.store.attempts(trial.id)[-1].pid for trial in running}
        return [one for one in cluster.processes(self.settings) if one.pid in pids]

    def output(self, name: str) -> str:
        """Return the end of a process's output."""
        return (self.settings.data_dir / f"{name}.out").read_text(errors="replace")[-2000:]

    # ---- the API ---------------------------------------------------------------------------------------------------

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).is_success
        except httpx.TransportError:
            return False

    def client(self) -> Client:
        """Connect to the API as searchctl does."""
        client = connect(self.settings)
        assert not client.is_local
        return client

    def submit(self, document: Mapping[str, Any]) -> Job:
        """Submit a job through the API."""
        with self.client() as client:
            return self.store.job(client.post("/jobs", document)["id"])

    # ---- what happened ---------------------------------------------------------------------------------------------

    def events(self, job_id: str, *kinds: str, after: int = 0) -> list[Event]:
        """Return the events of a job; only those of `kinds` if any are given."""
        events = self.store.events(after=after, job_id=job_id, limit=100_000)
        return [event for event in events if not kinds or event.kind in kinds]

    def seconds_until_work(self, job_id: str, *, after: int, claimed_anew: bool, limit: float = 120.0) -> float:
        """Return the time until an attempt starts or measures; `claimed_anew`: under a claim later than event `after`.
        """
        began = time.monotonic()

        def works() -> bool:
            claims = [event.sequence for event in self.events(job_id, "job.claimed", after=after)]
            since = claims[0] if claims else None if claimed_anew else after
            return since is not None and bool(self.events(job_id, *WORK, after=since))

        wait_for(works, seconds=limit, every=0.05, message=f"nothing works on {job_id}: {self._driver_log(job_id)}")
        return time.monotonic() - began

    def _driver_log(self, job_id: str) -> str:
        log = self.settings.job_log(job_id)
        return log.read_text(errors="replace")[-2000:] if log.exists() else "no log"


def wait_for(what: Callable[[], T | None], *, seconds: float, every: float = 0.1, message: str = "") -> T:
    """Wait until `what` returns a true value, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := what():
            return value
        time.sleep(every)
    raise AssertionError(f"not within {seconds:g} s: {message or what}")

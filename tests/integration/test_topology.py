"""The installation of docker-compose.yml as plain processes, on a machine without a container engine.

Every service runs the command, and gets the environment, of that file; only addresses, ports and folders differ. Each
Ray node has its own loopback address, as each container does. A single machine cannot show everything: a driver
connects to the head here, because Ray prefers it among the nodes of the driver's own machine.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest
import yaml

from tests.support.driving import a_spec
from tests.support.postgres import PostgresServer, free_port
from tests.support.tasks import install

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
HEAD, CONTROLLER, WORKERS = "127.0.0.2", "127.0.0.3", ("127.0.0.4", "127.0.0.5")
TRIALS, EPOCHS = 12, 6

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(150)]


class Installation:
    """The services, started in their order, and the actions of their operator."""

    def __init__(self, folder: Path, ray_folder: Path, database_url: str) -> None:
        self.folder, self._ray_folder = folder, ray_folder
        self._port, self._ray_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._values = {"SEARCHSVC_DATABASE_URL": database_url, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self._mark = secrets.token_hex(8)
        self._python_path = install(folder / "packages")
        self._started: dict[tuple[str, str | None], subprocess.Popen[bytes]] = {}

    def start(self, service: str, *, node: str | None = None) -> None:
        """`node`: the address of the service's Ray node."""
        with (self.folder / f"{service}-{node}.out").open("wb") as output:
            command, environment = self._command(SERVICES[service]["command"], node), self._environment(service)
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        self._started[service, node] = process

    def run(self, service: str, *words: str, **more: str) -> str:
        """Return the output of a command that succeeds in the service's container."""
        environment = self._environment(service) | more
        command = self._command(list(words), None)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def wait_until_healthy(self, service: str) -> None:
        """Wait for the service's own health check."""
        command = self._command(SERVICES[service]["healthcheck"]["test"][1:], None)
        environment = self._environment(service)
        wait_for(lambda: subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0, 40)

    def has_ended(self, service: str, node: str) -> bool:
        """Return whether the container has ended, so that the engine would restart it."""
        return self._started[service, node].poll() is not None

    def kill(self, service: str, node: str) -> None:
        """Kill -9 a container with all its processes."""
        started = psutil.Process(self._started[service, node].pid)
        processes = [started, *started.children(recursive=True)]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)
        self._started[service, node].wait(10)

    def restart_ended(self) -> None:
        """Start the containers that have ended again, as the engine does."""
        ended = [(service, node) for (service, node), one in self._started.items() if one.poll() is not None]
        for service, node in ended:
            self.start(service, node=node)

    def raylet(self, node: str) -> psutil.Process:
        """Return the process that is the Ray node."""
        option = f"--node_ip_address={node}"
        return next(one for one in self._processes() if one.name() == "raylet" and option in one.cmdline())

    def close(self) -> None:
        """End all processes, including those that left their parent."""
        while processes := self._processes():
            for process in processes:
                process.kill()
            psutil.wait_procs(processes, timeout=10)
        for started in self._started.values():
            started.wait(timeout=10)

    def said(self) -> str:
        """Return the end of the output of every service and driver."""
        files = [*self.folder.glob("*.out"), *self.folder.glob("data/logs/*.log")]
        return "\n".join(f"--- {one.name}\n{one.read_text(errors='replace')[-2000:]}" for one in files)

    def _command(self, words: list[str], node: str | None) -> list[str]:
        line = words[2].replace("$$", "$") if words[:2] == ["bash", "-c"] else f"exec {shlex.join(words)}"
        own = f"--node-ip-address={node} --temp-dir={self._ray_folder}/{node}"
        changes = {
            "ray-head:6379": f"{HEAD}:{self._ray_port}",
            "--port=6379": f"--port={self._ray_port}",
            "0.0.0.0": "127.0.0.1",
            "8700": f"{self._port}",
            "ray start": f"ray start {own}" + (" --num-cpus=2" if node in WORKERS else ""),
        }
        for there, here in changes.items():
            line = line.replace(there, here)
        return ["bash", "-c", line]

    def _environment(self, service: str) -> dict[str, str]:
        """Return the variables of docker-compose.yml and the Dockerfile, and the paths of our programs and tasks."""
        variables = {name: self._values.get(name, value) for name, value in SERVICES[service]["environment"].items()}
        return variables | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(self.folder),
            "PYTHONPATH": self._python_path,
            "SEARCHSVC_DATA_DIR": str(self.folder / "data"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # a node gives up its head sooner than after a minute
            "TOPOLOGY": self._mark,
        }

    def _processes(self) -> list[psutil.Process]:
        processes: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("TOPOLOGY") == self._mark:
                    processes |= {one.pid: one for one in (process, *process.children(recursive=True))}
            except psutil.Error:
                continue
        return [one for one in processes.values() if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def installation(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Installation]:
    """The services, started in the order of their dependencies."""
    url = postgres_server.create_database()
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as ray_folder:
        system = Installation(tmp_path, Path(ray_folder), url)
        try:
            system.run("migrate", *SERVICES["migrate"]["command"])
            system.start("ray-head", node=HEAD)
            system.start("api")
            system.wait_until_healthy("ray-head")
            for node in WORKERS:
                system.start("worker", node=node)
            system.start("controller", node=CONTROLLER)
            system.wait_until_healthy("api")
            yield system
        finally:
            print(system.said())  # shown if the test fails
            system.close()
            postgres_server.drop_database(url)


def wait_for(what: Callable[[], T], seconds: float) -> T:
    deadline = time.monotonic() + seconds
    while not (result := what()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)
    return result


class Results:
    """A job, as REST shows it."""

    def __init__(self, client: httpx.Client, job_id: str) -> None:
        self._client, self._path = client, f"/api/v1/jobs/{job_id}"

    def get(self, path: str = "", **query: Any) -> Any:
        answer = self._client.get(self._path + path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def trials(self, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.get("/trials", page_size=1000, **query)["items"]
        return items

    def attempts(self, trial: dict[str, Any]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.get(f"/trials/{trial['number']}/attempts")["items"]
        return items

    def training_on(self) -> dict[str, str]:
        """Return address of a node -> a trial with a checkpoint that is trained there."""
        trials = [one for one in self.trials(state="RUNNING") if 1 <= one["step"] <= EPOCHS - 3]
        return {address_of(self.attempts(trial)[-1]): trial["id"] for trial in trials}


def address_of(attempt: dict[str, Any]) -> str:
    return str(attempt["node"]).split()[1]


@pytest.mark.timeout(400)
def test_a_search_continues_after_a_restart_of_the_ray_head(installation: Installation) -> None:
    made = installation.run("api", "searchctl", "token", "create", "me", "--scope", "admin", "--json")
    token = json.loads(made)["secret"]
    document = a_spec(trials=TRIALS, epochs=EPOCHS, fate="fine", seconds=0.5)
    with httpx.Client(base_url=installation.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        job_id = client.post("/api/v1/jobs", json=document).json()["id"]
        results = Results(client, job_id)
        wait_for(lambda: len(results.trials(state="SUCCEEDED")) >= 2, 90)
        installation.kill("ray-head", HEAD)
        # Without a head, no node and no controller stays as it is: each container ends, so that the engine restarts it.
        wait_for(lambda: installation.has_ended("controller", CONTROLLER), 90)
        for node in WORKERS:
            wait_for(partial(installation.has_ended, "worker", node), 90)
        assert results.get()["state"] == "RUNNING"
        installation.start("ray-head", node=HEAD)
        installation.wait_until_healthy("ray-head")
        wait_for(lambda: _is_done_after_restarts(installation, results), 200)
        trials = results.trials()
        assert [(one["number"], one["state"]) for one in trials] == [(n, "SUCCEEDED") for n in range(TRIALS)]
        for trial in trials:
            steps = [one["step"] for one in results.get(f"/trials/{trial['number']}/measurements")["items"]]
            assert steps == list(range(1, EPOCHS + 1))


def _is_done_after_restarts(installation: Installation, results: Results) -> bool:
    installation.restart_ended()
    return bool(results.get()["state"] == "SUCCEEDED")


def test_a_search_loses_nothing_when_a_worker_node_is_killed(installation: Installation) -> None:
    made = installation.run("api", "searchctl", "token", "create", "me", "--scope", "admin", "--json")
    token = json.loads(made)["secret"]
    elsewhere = {"SEARCHSVC_DATA_DIR": str(installation.folder / "me"), "SEARCHSVC_URL": installation.url}
    elsewhere |= {"SEARCHSVC_TOKEN": token, "SEARCHSVC_DATABASE_URL": ""}
    spec = installation.folder / "spec.json"
    spec.write_text(json.dumps(a_spec(trials=TRIALS, epochs=EPOCHS, fate="fine", seconds=0.5)))
    job_id = json.loads(installation.run("api", "searchctl", "submit", str(spec), "--json", **elsewhere))["id"]

    with httpx.Client(base_url=installation.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        results = Results(client, job_id)
        wait_for(lambda: set(results.training_on()) == set(WORKERS), 60)
        killed, survivor = WORKERS
        installation.raylet(killed).kill()
        watched = installation.run("api", "searchctl", "watch", job_id, **elsewhere)
        assert results.get()["state"] == "SUCCEEDED"
        check(results, killed, survivor)
    assert installation.has_ended("worker", killed)
    assert watched.count(" succeeded ") >= TRIALS // 2, watched
    assert "job succeeded" in watched, watched
    (listed,) = json.loads(installation.run("api", "searchctl", "list", "--json", **elsewhere))
    assert (listed["id"], listed["trials"]["SUCCEEDED"]) == (job_id, TRIALS)


def check(results: Results, killed: str, survivor: str) -> None:
    trials = results.trials()
    assert [(one["number"], one["state"]) for one in trials] == [(n, "SUCCEEDED") for n in range(TRIALS)]
    assert len({one["values"]["x"] for one in trials}) == TRIALS
    attempts = {one["number"]: results.attempts(one) for one in trials}
    every = [one for attempts_of_trial in attempts.values() for one in attempts_of_trial]
    assert {address_of(one) for one in every} == set(WORKERS)
    lost = [one for one in every if one["failure"] == "LOST"]
    assert lost
    assert {address_of(one) for one in lost} == {killed}
    for number, attempts_of_trial in attempts.items():
        assert [one["state"] for one in attempts_of_trial].count("SUCCEEDED") == 1
        assert len(attempts_of_trial) == 1 or address_of(attempts_of_trial[-1]) == survivor
        steps = [one["step"] for one in results.get(f"/trials/{number}/measurements")["items"]]
        assert steps == list(range(1, EPOCHS + 1))

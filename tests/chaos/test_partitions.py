"""Partitions between hosts: each link goes down for longer than every timeout, and comes back.

The hosts are network namespaces (tests/support/hosts.py): PostgreSQL, API and controller are on one, the Ray head and
two workers on three others. The timeouts of Ray and of the service are shortened, so that an outage of seconds exceeds
all of them.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from searchsvc.domain import Budget, Event, Job, JobSpec, JobState, TrialState
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.driving import a_spec
from tests.support.guarantees import (
    assert_artifacts_as_stored,
    assert_each_claim_ends_the_attempts_before_it,
    assert_nothing_lost_and_nothing_twice,
    assert_proposals_as_if_undisturbed,
)
from tests.support.hosts import Host, Network, NoNamespaces, ray_node
from tests.support.postgres import PostgresServer
from tests.support.system import SEARCHCTL, wait_for
from tests.support.tasks import install

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(600)]
SERVICE, HEAD, WORKERS = "service", "head", ("left", "right")
RAY_PORT = 6379
OUTAGE_SECONDS = 15.0
"""Longer than each of the timeouts below, and than those of the driver and the worker processes."""
RAY_TIMEOUTS = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
    "RAY_grpc_client_keepalive_time_ms": "1000",
    "RAY_grpc_client_keepalive_timeout_ms": "4000",
    "RAY_grpc_keepalive_time_ms": "1000",
    "RAY_grpc_keepalive_timeout_ms": "4000",
    "RAY_raylet_rpc_server_reconnect_timeout_base_s": "1",
    "RAY_raylet_rpc_server_reconnect_timeout_max_s": "5",
    "RAY_core_worker_rpc_server_reconnect_timeout_base_s": "1",
    "RAY_core_worker_rpc_server_reconnect_timeout_max_s": "5",
}
SERVICE_TIMEOUTS = {
    "SEARCHSVC_LEASE_SECONDS": "3",
    "SEARCHSVC_HEARTBEAT_SECONDS": "0.5",
    "SEARCHSVC_DATABASE_WAIT_SECONDS": "8",
}
EPOCHS, BATCH = 6, 8


class Installation:
    """The service on four hosts. Every process is started again when it ends, as a container engine does."""

    def __init__(self, network: Network, database: PostgresServer, folder: Path, ray_folder: Path) -> None:
        self.network, self.folder, self._ray_folder = network, folder, ray_folder
        url = database.create_database()
        address = f"{network[HEAD].address}:{RAY_PORT}"
        self.settings = Settings(data_dir=folder / "data", database_url=url, ray_address=address).prepare()
        self.store = Store.create(database.socket_url(url.rsplit("/", 1)[1]))
        self._of_nodes = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": install(folder / "packages"),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            **RAY_TIMEOUTS,
        }
        own = {name: value for name, value in self.settings.environment().items() if name.startswith("SEARCHSVC_")}
        self._of_service = {**self._of_nodes, **own, **SERVICE_TIMEOUTS}

    def start(self) -> None:
        head, service, joining = self.network[HEAD], self.network[SERVICE], f"--address={self.settings.ray_address}"
        self._start_node(head, "--head", f"--port={RAY_PORT}", "--num-cpus=0", "--include-dashboard=false")
        self._start_node(service, joining, "--num-cpus=0")
        for name in WORKERS:
            self._start_node(self.network[name], joining, "--num-cpus=2")
        service.start([SEARCHCTL, "controller"], self._of_service, self.folder / "controller.out")
        service.start([SEARCHCTL, "serve", "--no-controller"], self._of_service, self.folder / "api.out")

    def said(self) -> str:
        """Return the end of the output of every service and driver."""
        files = [*self.folder.glob("*.out"), *self.folder.glob("data/logs/*.log")]
        return "\n".join(f"--- {one.name}\n{one.read_text(errors='replace')[-2500:]}" for one in files)

    def shown_by_the_api(self, job: Job) -> dict[str, Any]:
        """Return the job as a user on the service's host sees it."""
        shown: dict[str, Any] = json.loads(
            self.network[SERVICE].run([SEARCHCTL, "show", job.id, "--json"], self._of_service)
        )
        return shown

    def _start_node(self, host: Host, *options: str) -> None:
        environment = self._of_service if host.name == SERVICE else self._of_nodes
        command = ray_node(host, self._ray_folder / host.name, *options)
        host.start(command, environment, self.folder / f"ray-{host.name}.out")


class Search:
    """A job that is extended as often as the test needs it to go on."""

    def __init__(self, installation: Installation) -> None:
        self.store, self._network = installation.store, installation.network
        self.job = self.store.create_job(
            JobSpec.parse(a_spec(trials=BATCH, epochs=EPOCHS, seconds=0.5, resources={"attempts": 100}))
        )[0]

    @property
    def trials(self) -> int:
        """The budget."""
        trials = self.store.job(self.job.id).spec.budget.trials
        assert trials is not None
        return trials

    def events(self, *kinds: str, after: int = 0) -> list[Event]:
        events = self.store.events(after=after, job_id=self.job.id, limit=100_000)
        return [event for event in events if not kinds or event.kind in kinds]

    def wait_for_work(self, *names: str, after: int) -> None:
        """Wait until each of these hosts has trained an epoch of an attempt that started later than event `after`."""
        wait_for(
            lambda: self._with_open_trials() and {self._network[name].address for name in names} <= self._nodes(after),
            seconds=120,
            message=f"{names} do not train",
        )

    def _with_open_trials(self) -> bool:
        counts = self.store.trial_counts(self.job.id)
        if self.trials - sum(number for state, number in counts.items() if state.is_final) < BATCH:
            self.store.extend_job(self.job.id, Budget(trials=self.trials + BATCH))
        return True

    def _nodes(self, after: int) -> set[str]:
        """Return the addresses of the nodes that have measured an attempt which started later than event `after`."""
        nodes: dict[int, str] = {}
        measured = set()
        for event in self.events("trial.started", "trial.measured", after=after):
            number = event.data["number"]
            if event.kind == "trial.started":
                nodes[number] = event.data["node"].split()[1]
            elif number in nodes:
                measured.add(nodes[number])
        return measured

    def running_on(self, name: str) -> set[tuple[str, int]]:
        """Return the running attempts on a host, as (trial, number)."""
        running = self.store.trials(self.job.id, state=TrialState.RUNNING, limit=100)
        last = [self.store.attempts(trial.id)[-1] for trial in running]
        address = self._network[name].address
        return {(one.trial_id, one.number) for one in last if str(one.node).endswith(f" {address}")}

    def waits_for_ray(self) -> bool:
        job = self.store.job(self.job.id)
        return job.state is JobState.RUNNING and "waits for Ray" in (job.reason or "")


@pytest.fixture
def installation(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """The service on its hosts. `postgres_server` is not used: its fixture knows what to do without PostgreSQL."""
    with ExitStack() as stack:
        try:
            network = stack.enter_context(Network([SERVICE, HEAD, *WORKERS]))
        except NoNamespaces as error:
            pytest.skip(f"this machine does not allow network namespaces: {error}")
        temporary = tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True)
        ray_folder = Path(stack.enter_context(temporary))
        database = stack.enter_context(PostgresServer(namespace=network[SERVICE].namespace))
        installed = Installation(network, database, tmp_path, ray_folder)
        stack.callback(installed.store.close)
        stack.callback(network.remove)
        stack.callback(lambda: print(installed.said()))  # shown if the test fails
        monkeypatch.syspath_prepend(str(tmp_path / "packages"))  # this process finds the same tasks
        installed.start()
        yield installed


def test_a_search_outlives_the_partition_of_each_host(installation: Installation) -> None:
    search, store = Search(installation), installation.store
    search.wait_for_work(*WORKERS, after=0)

    cut, other = WORKERS
    began = store.last_sequence()
    lost = search.running_on(cut)
    with partition(installation, cut):
        wait_for(lambda: not lost & search.running_on(cut), seconds=60, message="the lost attempts are not noticed")
        search.wait_for_work(other, after=began)
        assert installation.shown_by_the_api(search.job)["state"] == "RUNNING"
    search.wait_for_work(*WORKERS, after=store.last_sequence())
    assert search.events("job.claimed", after=began) == []

    for name in (HEAD, SERVICE):
        with partition(installation, name):
            wait_for(search.waits_for_ray, seconds=60, message="the job does not say that it waits for Ray")
            shown = installation.shown_by_the_api(search.job)
            assert (shown["state"], "waits for Ray" in shown["reason"]) == ("RUNNING", True)
        search.wait_for_work(*WORKERS, after=store.last_sequence())
        assert store.job(search.job.id).reason is None

    job_id = search.job.id
    wait_for(lambda: store.job(job_id).state.is_final, seconds=120, message="the job does not end")
    assert_nothing_lost_and_nothing_twice(store, job_id, trials=search.trials, epochs=EPOCHS)
    assert_proposals_as_if_undisturbed(store, job_id, installation.settings)
    assert_each_claim_ends_the_attempts_before_it(search.events())
    assert_artifacts_as_stored(store, job_id, installation.settings)


DEAD = psutil.STATUS_ZOMBIE  # killed, and not yet collected by its parent
HOSTS = """
import sys, time
from pathlib import Path
from tests.support.hosts import Network, NoNamespaces

try:
    with Network(["left", "right"]) as network:
        network["left"].start(["sleep", "1000"], {}, Path(sys.argv[1]))
        print(network["left"].namespace, flush=True)
        time.sleep(1000)
except NoNamespaces:
    print(flush=True)
"""
"""Code that prints the namespace of a host on which a process runs."""


def test_nothing_remains_of_hosts_whose_test_was_killed(tmp_path: Path) -> None:
    test = subprocess.Popen([sys.executable, "-c", HOSTS, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert test.stdout is not None
    namespace = test.stdout.readline().strip()
    try:
        if not namespace:
            pytest.skip("this machine does not allow network namespaces")
        # The process enters the namespace some time after its start.
        pids = wait_for(lambda: processes_of(namespace), seconds=60, message=f"no process runs in {namespace}")
    finally:
        test.kill()
        test.wait()
        test.stdout.close()
    wait_for(lambda: not Path("/run/netns", namespace).exists(), seconds=60, message=f"{namespace} remains")
    assert not [one for one in psutil.process_iter(["status"]) if str(one.pid) in pids and one.info["status"] != DEAD]


def processes_of(namespace: str) -> list[str]:
    return subprocess.check_output(["ip", "netns", "pids", namespace], text=True).split()


@contextmanager
def partition(installation: Installation, name: str) -> Iterator[None]:
    """Cut a host off for longer than every timeout."""
    until = time.monotonic() + OUTAGE_SECONDS
    installation.network[name].cut()
    yield
    time.sleep(max(0.0, until - time.monotonic()))
    installation.network[name].join()

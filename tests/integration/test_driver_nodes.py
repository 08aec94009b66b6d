"""A cluster of two nodes; every process on one of them dies."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from searchsvc.domain import FailureKind, TrialState
from tests.support.driving import Rig, a_spec, assert_complete
from tests.support.tasks import install

TOKEN = "0123456789abcdef" * 4
WAIT_FOR_NODES = """
import sys, time, ray

ray.init(sys.argv[1], log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[2]):
    time.sleep(0.1)
"""
"""Code that ends as soon as a number of nodes have joined the cluster at an address."""


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A separate cluster, as an operator starts it: a head with a single CPU."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    data_dir = tmp_path_factory.mktemp("driver")
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        options = ("--head", "--port=0", f"--temp-dir={folder}", "--num-cpus=1", "--include-dashboard=false")
        head = ray_start(*options, **packages(data_dir))
        address = wait_for_text(Path(folder) / "ray_current_cluster")
        rig = Rig(data_dir, ray_address=address)
        yield rig
        rig.close()
        end(head)


@pytest.fixture
def bad_node(rig: Rig) -> Iterator[None]:
    """A second node, with two CPUs; BAD_NODE is set in all of its processes."""
    address = f"--address={rig.settings.ray_address}"
    node = ray_start(address, "--num-cpus=2", BAD_NODE="1", **packages(rig.settings.data_dir))
    subprocess.run([sys.executable, "-c", WAIT_FOR_NODES, rig.settings.ray_address or "", "2"], check=True, timeout=90)
    yield
    end(node)


def ray_start(*options: str, **environment: str) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-c", "from ray.scripts.scripts import main; main()"]
    command = [*program, "start", "--block", "--disable-usage-stats", "--object-store-memory=80000000", *options]
    return subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL, start_new_session=True)


def packages(data_dir: Path) -> dict[str, str]:
    return {"PYTHONPATH": install(data_dir / "packages")}


def wait_for_text(path: Path) -> str:
    deadline = time.monotonic() + 60
    while not (path.exists() and (text := path.read_text().strip())):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return text


def end(node: subprocess.Popen[bytes]) -> None:
    children = psutil.Process(node.pid).children(recursive=True)
    for process in (node, *children):
        process.kill()
    node.wait()


@pytest.mark.usefixtures("bad_node")
def test_a_node_on_which_trials_keep_failing_is_avoided(rig: Rig) -> None:
    job = rig.run(a_spec(trials=30, epochs=2, fate="bad_node", seconds=0.4, resources={"attempts": 100}), timeout=100)
    assert_complete(rig, job, trials=30, epochs=2)
    (event,) = rig.events(job, "node.avoided")
    assert "trials failed on it with no success between them (" in event.data["reason"]
    bad = event.data["node"].split()[0]
    attempts = [one for trial in rig.trials(job) for one in rig.store.attempts(trial.id)]
    on_it = [one for one in attempts if one.node and one.node.startswith(bad)]
    assert {one.failure for one in on_it} <= {FailureKind.LOST, None}
    assert len(on_it) <= 8  # attempts in progress when the node was found to be bad
    assert all(one.started_at < event.at + 1.0 for one in on_it)


@pytest.mark.usefixtures("bad_node")
def test_a_supernet_has_processes_on_several_nodes(rig: Rig) -> None:
    algorithm = {"name": "autohas", "finalists": 1, "basis_values": 3}
    job = rig.run(a_spec(task="together", trials=2, epochs=1, algorithm=algorithm, resources={"workers": 3}))
    supernet, finalist = rig.trials(job)
    assert [one.metrics["reward"] for one in rig.store.measurements(supernet.id)] == [2.0, 4.0]
    assert (supernet.attempts, finalist.state) == (1, TrialState.SUCCEEDED)


def test_the_only_node_is_used_on(rig: Rig) -> None:
    job = rig.run(a_spec(trials=4, epochs=2, fate="error"))
    (event,) = rig.events(job, "node.suspected")
    assert event.data["reason"].endswith("it is used on, because no other node has room for a trial")
    assert len(rig.trials(job)) == 4

"""A cluster of two nodes; every process on one of them dies."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchsvc.domain import FailureKind, TrialState
from tests.support import ray_nodes
from tests.support.driving import Rig, a_spec, assert_complete


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A separate cluster, as an operator starts it: a head with a single CPU."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", ray_nodes.TOKEN)
    data_dir = tmp_path_factory.mktemp("driver")
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        head = ray_nodes.start_head(Path(folder), "--num-cpus=1", **ray_nodes.packages(data_dir))
        rig = Rig(data_dir, ray_address=ray_nodes.address_of_head(Path(folder)))
        yield rig
        rig.close()
        ray_nodes.end(head)


@pytest.fixture
def bad_node(rig: Rig) -> Iterator[None]:
    """A second node, with two CPUs; BAD_NODE is set in all of its processes."""
    address, environment = str(rig.settings.ray_address), ray_nodes.packages(rig.settings.data_dir)
    node = ray_nodes.start(f"--address={address}", "--num-cpus=2", BAD_NODE="1", **environment)
    ray_nodes.wait_for_nodes(address, 2)
    yield
    ray_nodes.end(node)


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

"""The resources of this machine, within the limits of its container, and what trials need beyond them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from searchsvc.domain import JobSpec, Node
from searchsvc.service.planning import machine
from tests.support.driving import a_spec


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The control groups of a machine with 8 CPUs and 64 GiB, on which this process is in a group of a group."""
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(machine, "host_memory_bytes", lambda: 64 * 2**30)
    read_text = Path.read_text

    def read(path: Path, *arguments: Any, **named: Any) -> str:
        if path == Path("/proc/self/cgroup"):
            return "0::/outer/inner\n5:cpu,cpuacct:/one\n6:memory:/one\n"
        return read_text(path, *arguments, **named)

    monkeypatch.setattr(Path, "read_text", read)
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    for controller in ("cpu", "memory"):
        (tmp_path / controller / "one").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "cpus", "gib"),
    [
        ({}, 8, 64),
        ({"outer/inner/cpu.max": "max 100000", "outer/inner/memory.max": "max"}, 8, 64),
        ({"outer/inner/cpu.max": "150000 100000", "outer/memory.max": str(3 * 2**30)}, 2, 3),
        ({"outer/cpu.max": "50000 100000", "outer/inner/cpu.max": "400000 100000"}, 1, 64),
        ({"cpu/one/cpu.cfs_quota_us": "300000", "cpu/one/cpu.cfs_period_us": "100000"}, 3, 64),
        ({"cpu/one/cpu.cfs_quota_us": "-1", "cpu/one/cpu.cfs_period_us": "100000"}, 8, 64),
        ({"memory/one/memory.limit_in_bytes": str(5 * 2**30)}, 8, 5),
        ({"memory/one/memory.limit_in_bytes": "9223372036854771712"}, 8, 64),
    ],
)
def test_limits_of_a_container_are_found(groups: Path, files: dict[str, str], cpus: int, gib: int) -> None:
    for name, text in files.items():
        (groups / name).write_text(f"{text}\n")
    assert (machine.cpus(), machine.memory_bytes()) == (cpus, gib * 2**30)


@pytest.mark.parametrize(("visible", "count"), [("", 0), ("-1", 0), ("0", 1), ("0,1", 2), (None, 2)])
def test_hidden_gpus_do_not_count(visible: str | None, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [Path("/dev/nvidia0"), Path("/dev/nvidia1"), Path("/dev/nvidia0-caps")]
    monkeypatch.setattr(machine.Path, "glob", lambda *_: iter(devices))
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpus() == count


def test_every_shortage_has_its_place_in_the_spec() -> None:
    spec = JobSpec.parse(a_spec(resources={"cpu": 9, "gpu": 1, "memory_bytes": 2**31}))
    faults = machine.shortages(spec, machine.Room("it", 8, 0, 2**30))
    assert [str(fault) for fault in faults] == [
        "/resources/cpu: a trial needs 9 CPUs, it has 8",
        "/resources/gpu: a trial needs 1 GPUs, it has 0",
        "/resources/memory_bytes: a trial needs 2.0 GiB, it has 1.0 GiB",
    ]


def test_of_a_cluster_the_largest_node_counts() -> None:
    nodes = [Node("a", "1", 4, 0, 2.0, False), Node("b", "2", 2, 1, 1.0, False)]
    assert machine.largest(nodes) == machine.Room("the largest node of the cluster", 4, 1, 2.0)


def test_a_gpu_of_another_kind_is_not_called_impossible(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = JobSpec.parse(a_spec(resources={"gpu": 1}))
    monkeypatch.setattr(machine, "gpus", lambda: 0)
    monkeypatch.setattr(machine, "has_other_gpus", lambda: False)
    [fault] = machine.impossible(spec)
    assert (fault.pointer, "--ray-address" in fault.message) == ("/resources/gpu", True)
    monkeypatch.setattr(machine, "has_other_gpus", lambda: True)
    assert machine.impossible(spec) == []

"""The resources of this machine, and what a trial needs beyond them. A cluster may have more."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from searchsvc.domain import JobSpec, Node
from searchsvc.errors import Fault

_CGROUPS = Path("/sys/fs/cgroup")
_WAITS = "trials wait until a machine that has it joins the cluster"


def cpus() -> int:
    """Count the cores that this process may use: its affinity, and the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _cpu_quota())))


def gpus(environment: Mapping[str, str] = os.environ) -> int:
    """Count NVIDIA devices without loading CUDA; CUDA_VISIBLE_DEVICES may hide some."""
    devices = len([device for device in Path("/dev").glob("nvidia[0-9]*") if device.name[6:].isdigit()])
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return devices
    return min(devices, len([name for name in visible.split(",") if name.strip() not in ("", "-1")]))


def has_other_gpus() -> bool:
    """Return whether there may be GPUs that `gpus` does not count: AMD's, or those of Windows seen from WSL."""
    return any(Path(device).exists() for device in ("/dev/kfd", "/dev/dxg"))


def memory_bytes() -> int:
    """Return the memory that this process may use: of the machine, or of its container if that has a limit."""
    names = ("memory.max", "memory.limit_in_bytes")  # versions 2 and 1
    limits = [_number(file) for name in names for file in _limit_files("memory", name)]
    return int(min([host_memory_bytes(), *limits]))


def host_memory_bytes() -> int:
    """Return the memory of the machine, whatever the limits of this process."""
    return int(psutil.virtual_memory().total)


def _cpu_quota() -> float:
    """Return the CPUs that the container of this process may use; infinite without a limit."""
    pairs = [file.read_text().split() for file in _limit_files("cpu", "cpu.max")]  # version 2: microseconds
    pairs += [  # version 1: a file for each number
        [file.read_text().strip(), file.with_name("cpu.cfs_period_us").read_text().strip()]
        for file in _limit_files("cpu", "cpu.cfs_quota_us")
    ]
    return min((int(quota) / int(period) for quota, period in pairs if quota.isdecimal()), default=math.inf)


def _limit_files(controller: str, name: str) -> Iterator[Path]:
    """Yield the files of a limit, of this process's control group and of the groups above it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return  # not Linux
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers and controller not in controllers.split(","):
            continue
        root = _CGROUPS / controller if controllers else _CGROUPS
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if (file := folder / name).is_file():
                yield file
            if folder == root:
                break


def _number(file: Path) -> float:
    """Return the number in a file; infinite for `max` and if it cannot be read."""
    try:
        return float(file.read_text())
    except (OSError, ValueError):
        return math.inf


@dataclass(frozen=True, slots=True)
class Room:
    """Resources that a trial may use, at most."""

    name: str
    cpus: float
    gpus: float
    memory_bytes: float


def here() -> Room:
    """Return the room of this machine."""
    return Room("this machine", cpus(), gpus(), memory_bytes())


def largest(nodes: Iterable[Node]) -> Room:
    """Return the room of the largest node of a cluster, of each resource."""
    all_nodes = tuple(nodes)
    cpus, gpus, memory = (max(getattr(node, name) for node in all_nodes) for name in ("cpus", "gpus", "memory_bytes"))
    return Room("the largest node of the cluster", cpus, gpus, memory)


def shortages(spec: JobSpec, room: Room, workers: int = 1) -> list[Fault]:
    """Return what a trial of `workers` processes on one machine needs beyond `room`, with the place in the spec."""
    resources, faults = spec.resources, []
    cpu, gpu, memory = (workers * n for n in (resources.cpu, resources.gpu, resources.memory_bytes))
    trial = "a trial needs" if workers == 1 else f"a supernet with {workers} workers needs"
    if cpu > room.cpus:
        faults.append(Fault("/resources/cpu", f"{trial} {cpu:g} CPUs, {room.name} has {room.cpus:g}"))
    if gpu > room.gpus:
        faults.append(Fault("/resources/gpu", f"{trial} {gpu:g} GPUs, {room.name} has {room.gpus:g}"))
    if memory > room.memory_bytes:
        needed, available = memory / 2**30, room.memory_bytes / 2**30
        message = f"{trial} {needed:.1f} GiB, {room.name} has {available:.1f} GiB"
        faults.append(Fault("/resources/memory_bytes", message))
    return faults


def impossible(spec: JobSpec) -> list[Fault]:
    """Return what a trial needs and a Ray on this machine alone can never offer.

    Ray counts CPUs and memory in its own way, so only needs beyond the whole machine are certain.
    """
    whole = Room(
        "this machine",
        max(cpus(), os.cpu_count() or 1),
        math.inf if has_other_gpus() else gpus(),
        host_memory_bytes(),
    )
    how = "lower it, or give the address of a cluster that has it (--ray-address)"
    return [Fault(fault.pointer, f"{fault.message}: {how}") for fault in shortages(spec, whole, spec.resources.workers)]


def warnings(spec: JobSpec) -> list[str]:
    """Warn of trials that need more than this machine has, and of limits that can never be reached."""
    resources = spec.resources
    messages = [f"{fault.message}: {_WAITS}" for fault in shortages(spec, here(), resources.workers)]
    if spec.budget.gpu_hours is not None and resources.gpu == 0:
        messages.append("budget.gpu_hours limits nothing, because a trial takes no GPU (resources.gpu is 0)")
    if (
        resources.trial_seconds is not None
        and spec.budget.seconds is not None
        and resources.trial_seconds > spec.budget.seconds
    ):
        messages.append("resources.trial_seconds is longer than the whole budget.seconds")
    return messages

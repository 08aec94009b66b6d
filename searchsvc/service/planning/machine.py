"""What this machine has, for warnings and the doctor. A cluster may have more, or grow: nothing here refuses a job."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from searchsvc.domain import JobSpec


def cpus() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> int:
    """NVIDIA devices, counted without loading CUDA."""
    return len([device for device in Path("/dev").glob("nvidia[0-9]*") if device.name[6:].isdigit()])


def memory_bytes() -> int:
    return int(psutil.virtual_memory().total)


def warnings(spec: JobSpec) -> list[str]:
    """Where one trial needs more than this machine has, or a limit can never be reached."""
    wanted, found = spec.resources, []
    cpu, gpu, memory = (wanted.workers * one for one in (wanted.cpu, wanted.gpu, wanted.memory_bytes))
    trial = "a trial needs" if wanted.workers == 1 else f"a supernet with {wanted.workers} workers needs"
    if cpu > cpus():
        found.append(f"{trial} {cpu:g} CPUs, this machine has {cpus()}: {_WAITS}")
    if gpu > gpus():
        found.append(f"{trial} {gpu:g} GPUs, this machine has {gpus()}: {_WAITS}")
    if memory > memory_bytes():
        needed, there = memory / 2**30, memory_bytes() / 2**30
        found.append(f"{trial} {needed:.1f} GiB, this machine has {there:.1f} GiB: {_WAITS}")
    if spec.budget.gpu_hours is not None and wanted.gpu == 0:
        found.append("budget.gpu_hours limits nothing, because a trial takes no GPU (resources.gpu is 0)")
    if (
        wanted.trial_seconds is not None
        and spec.budget.seconds is not None
        and wanted.trial_seconds > spec.budget.seconds
    ):
        found.append("resources.trial_seconds is longer than the whole budget.seconds")
    return found


_WAITS = "trials wait until a machine that has it joins the cluster"

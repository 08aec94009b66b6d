"""The resources of this machine, for warnings and the doctor. A cluster may have more: nothing here refuses a job."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from searchsvc.domain import JobSpec

_WAITS = "trials wait until a machine that has it joins the cluster"


def cpus() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> int:
    """Count NVIDIA devices without loading CUDA."""
    return len([device for device in Path("/dev").glob("nvidia[0-9]*") if device.name[6:].isdigit()])


def memory_bytes() -> int:
    """Return the memory of the machine."""
    return int(psutil.virtual_memory().total)


def warnings(spec: JobSpec) -> list[str]:
    """Warn of trials that need more than this machine has, and of limits that can never be reached."""
    resources, messages = spec.resources, []
    cpu, gpu, memory = (resources.workers * n for n in (resources.cpu, resources.gpu, resources.memory_bytes))
    trial = "a trial needs" if resources.workers == 1 else f"a supernet with {resources.workers} workers needs"
    if cpu > cpus():
        messages.append(f"{trial} {cpu:g} CPUs, this machine has {cpus()}: {_WAITS}")
    if gpu > gpus():
        messages.append(f"{trial} {gpu:g} GPUs, this machine has {gpus()}: {_WAITS}")
    if memory > memory_bytes():
        needed, available = memory / 2**30, memory_bytes() / 2**30
        messages.append(f"{trial} {needed:.1f} GiB, this machine has {available:.1f} GiB: {_WAITS}")
    if spec.budget.gpu_hours is not None and resources.gpu == 0:
        messages.append("budget.gpu_hours limits nothing, because a trial takes no GPU (resources.gpu is 0)")
    if (
        resources.trial_seconds is not None
        and spec.budget.seconds is not None
        and resources.trial_seconds > spec.budget.seconds
    ):
        messages.append("resources.trial_seconds is longer than the whole budget.seconds")
    return messages

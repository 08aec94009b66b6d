"""Operators and whole networks prepared for timing on a CPU or a GPU, as a trained model would run there.

They run in inference mode, channels last, normalised by running statistics. One thread of a CPU is timed by its own
processor time, so that other programs do not count; several threads by the wall clock; a GPU by CUDA events.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from searchsvc.domain.parameters import Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.spaces import networks
from searchsvc.spaces.costs.latency import Device
from searchsvc.spaces.costs.operators import Operator
from searchsvc.spaces.fbnetv3.definition import BlockShape
from searchsvc.spaces.resolution import RESOLUTION, shape_at
from workers.models import build
from workers.models.fbnetv3 import PooledHead, block_of, stem_of

Pass = Callable[[], object]
"""A forward pass."""


class TorchBench:
    """`searchsvc.service.latency.timing.Bench` with PyTorch. Sets the number of threads of this process."""

    def __init__(self, info: DatasetInfo, *, device: str, batch: int, threads: int) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise InvalidInput.at("/device", "PyTorch finds no CUDA device here: measure where there is one, or on cpu")
        torch.set_num_threads(threads)
        self._info, self._batch, self._torch_device = info, batch, torch.device(device)
        kind: Literal["cpu", "cuda"] = "cuda" if device == "cuda" else "cpu"
        clock, self._timed = stopwatch(kind, threads)
        self.device = Device(kind=kind, name=_name(kind), threads=threads, clock=clock, torch=torch.__version__)

    def operator(self, operator: Operator) -> Callable[[], float]:
        """Return a timer of an operator on random input."""
        shape = (operator.inputs, operator.height, operator.width)
        return self._prepared(module_of(operator, len(self._info.classes)), shape)

    def network(self, values: Mapping[str, Scalar]) -> Callable[[], float]:
        """Return a timer of the network that the values of a trial describe."""
        complete = networks.complete(values)
        network = build(complete, self._info.shape, len(self._info.classes))
        return self._prepared(network, shape_at(self._info.shape, complete[RESOLUTION]))

    def _prepared(self, module: nn.Module, shape: tuple[int, int, int]) -> Callable[[], float]:
        prepared = module.eval().requires_grad_(False).to(memory_format=torch.channels_last).to(self._torch_device)
        images = torch.randn(self._batch, *shape, device=self._torch_device).to(memory_format=torch.channels_last)

        def timed() -> float:
            with torch.inference_mode():
                return self._timed(lambda: prepared(images))

        return timed


def module_of(operator: Operator, classes: int) -> nn.Module:
    """Return the operator as a network contains it."""
    if operator.kind == "stem":
        return stem_of(operator.inputs, operator.outputs, operator.kernel, operator.stride)
    if operator.kind == "head":
        pool = PooledHead(operator.inputs, operator.mid, operator.outputs)
        return nn.Sequential(pool, nn.Linear(operator.outputs, classes))
    block = BlockShape(
        operator.inputs,
        operator.mid,
        operator.outputs,
        operator.kernel,
        operator.stride,
        operator.pad,
        operator.squeeze,
    )
    return block_of(block)


def stopwatch(kind: Literal["cpu", "cuda"], threads: int) -> tuple[str, Callable[[Pass], float]]:
    """Return (name of the clock, function that returns the milliseconds of a run)."""
    if kind == "cuda":
        return "CUDA events", _by_events
    if threads == 1:
        return "processor time of the thread", _by_clock(time.thread_time_ns)
    return "wall", _by_clock(time.perf_counter_ns)


def _by_clock(nanoseconds: Callable[[], int]) -> Callable[[Pass], float]:
    def timed(forward: Pass) -> float:
        start = nanoseconds()
        forward()
        return (nanoseconds() - start) / 1e6

    return timed


def _by_events(forward: Pass) -> float:
    event: Any = torch.cuda.Event
    start, end = event(enable_timing=True), event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    forward()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))


def _name(kind: str) -> str:
    if kind == "cuda":
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

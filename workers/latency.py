"""Operators and whole networks, built to be timed on a CPU or a GPU as a trained model would run there.

Inference mode, channels last, normalisation by running statistics. One thread of a CPU is timed by its own processor
time, so that other programs that take turns with it do not count; several threads by the clock on the wall; a GPU by
CUDA events.
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

Run = Callable[[], object]


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
        """One operator by itself, on random input."""
        shape = (operator.inputs, operator.height, operator.width)
        return self._prepared(module_of(operator, len(self._info.classes)), shape)

    def network(self, values: Mapping[str, Scalar]) -> Callable[[], float]:
        """The whole network that the values of a trial describe."""
        complete = networks.complete(values)
        network = build(complete, self._info.shape, len(self._info.classes))
        return self._prepared(network, shape_at(self._info.shape, complete[RESOLUTION]))

    def _prepared(self, module: nn.Module, shape: tuple[int, int, int]) -> Callable[[], float]:
        ready = module.eval().requires_grad_(False).to(memory_format=torch.channels_last).to(self._torch_device)
        images = torch.randn(self._batch, *shape, device=self._torch_device).to(memory_format=torch.channels_last)

        def timed() -> float:
            with torch.inference_mode():
                return self._timed(lambda: ready(images))

        return timed


def module_of(operator: Operator, classes: int) -> nn.Module:
    """The operator as the builder of networks makes it."""
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


def stopwatch(kind: Literal["cpu", "cuda"], threads: int) -> tuple[str, Callable[[Run], float]]:
    """(what is timed, milliseconds of a run)."""
    if kind == "cuda":
        return "CUDA events", _by_events
    if threads == 1:
        return "processor time of the thread", _by_clock(time.thread_time_ns)
    return "wall", _by_clock(time.perf_counter_ns)


def _by_clock(nanoseconds: Callable[[], int]) -> Callable[[Run], float]:
    def timed(run: Run) -> float:
        start = nanoseconds()
        run()
        return (nanoseconds() - start) / 1e6

    return timed


def _by_events(run: Run) -> float:
    event: Any = torch.cuda.Event
    start, end = event(enable_timing=True), event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    run()
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

"""When what is timed, so that times can be compared: warmed up, in changing order, within the time given.

A time is that of a single call, after other operators have run: in a network, too, an operator finds little of its
weights in the caches. Of all calls of one operator the lower quartile counts, as what else a machine does adds time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

import numpy as np

from searchsvc.domain import Scalar
from searchsvc.spaces.costs.latency import Device
from searchsvc.spaces.costs.operators import Operator

_TOGETHER = 256
"""Operators that take turns; their weights fit into memory, but not into a cache."""
_ROUNDS = 4
_SWEEPS = 6
_NETWORK_ROUNDS = 15

T = TypeVar("T")
Call: TypeAlias = Callable[[], float]
"""Runs what it is about once; milliseconds that this took."""
Clock: TypeAlias = Callable[[], float]
"""Seconds."""
Progress: TypeAlias = Callable[[str], None]


class Bench(Protocol):
    """Builds what is to be timed, on one device."""

    device: Device

    def operator(self, operator: Operator) -> Call:
        """One operator by itself, on random input."""

    def network(self, values: Mapping[str, Scalar]) -> Call:
        """The whole network that the values of a trial describe."""


def time_operators(
    bench: Bench, operators: Sequence[Operator], *, seconds: float, clock: Clock, progress: Progress
) -> dict[Operator, list[float]]:
    """Milliseconds of the calls of each operator; those for which the time did not suffice are left out."""
    generator, end = random.Random(0), clock() + seconds  # noqa: S311 - an order
    samples: dict[Operator, list[float]] = {}
    for sweep in range(_SWEEPS):
        for turn in _turns(operators, generator):
            if samples and clock() >= end:
                return samples
            for one, times in _in_turns({one: bench.operator(one) for one in turn}, _ROUNDS, generator).items():
                samples.setdefault(one, []).extend(times)
        progress(f"sweep {sweep + 1} of {_SWEEPS}: {len(samples):,} operators timed")
    return samples


def time_networks(bench: Bench, candidates: Sequence[Mapping[str, Scalar]]) -> list[float]:
    """Milliseconds of whole networks."""
    calls = {number: bench.network(values) for number, values in enumerate(candidates)}
    samples = _in_turns(calls, _NETWORK_ROUNDS, random.Random(0))  # noqa: S311 - an order
    return [typical(samples[number]) for number in calls]


def typical(samples: Sequence[float]) -> float:
    """The time that counts."""
    return float(np.quantile(samples, 0.25))


def _turns(operators: Sequence[Operator], generator: random.Random) -> Iterator[list[Operator]]:
    """All operators, at most so many together; the few stems and heads, without which no fit is possible, first."""
    order = generator.sample(operators, len(operators))
    order.sort(key=lambda one: one.kind == "block")
    yield from (order[start : start + _TOGETHER] for start in range(0, len(order), _TOGETHER))


def _in_turns(calls: Mapping[T, Call], rounds: int, generator: random.Random) -> dict[T, list[float]]:
    """Milliseconds of each, called once per round; the first call, which sets things up, does not count."""
    for call in calls.values():
        call()
    samples: dict[T, list[float]] = {one: [] for one in calls}
    for _ in range(rounds):
        for one in generator.sample(list(calls), len(calls)):
            samples[one].append(calls[one]())
    return samples

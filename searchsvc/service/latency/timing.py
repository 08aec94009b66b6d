"""Timing of operators and networks that makes times comparable: warmed up, in changing order, within a time limit.

Each time is the time of a single call after calls of other operators: as in a network, an operator finds few of its
weights in the caches. The lower quartile of an operator's calls counts, because other activity of the machine only adds
time.
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
"""Runs an operator or a network once; returns the milliseconds that it took."""
Clock: TypeAlias = Callable[[], float]
"""Returns seconds."""
Progress: TypeAlias = Callable[[str], None]


class Bench(Protocol):
    """Builds operators and networks for timing on a device."""

    device: Device

    def operator(self, operator: Operator) -> Call:
        """Return a call of an operator by itself, on random input."""

    def network(self, values: Mapping[str, Scalar]) -> Call:
        """Return a call of the whole network that the values of a trial describe."""


def time_operators(
    bench: Bench, operators: Sequence[Operator], *, seconds: float, clock: Clock, progress: Progress
) -> dict[Operator, list[float]]:
    """Return the milliseconds of each operator's calls; operators for which the time did not suffice are left out."""
    generator, end = random.Random(0), clock() + seconds  # noqa: S311 - only an order
    samples: dict[Operator, list[float]] = {}
    for sweep in range(_SWEEPS):
        for turn in _turns(operators, generator):
            if samples and clock() >= end:
                return samples
            calls = {operator: bench.operator(operator) for operator in turn}
            for operator, times in _in_turns(calls, _ROUNDS, generator).items():
                samples.setdefault(operator, []).extend(times)
        progress(f"sweep {sweep + 1} of {_SWEEPS}: {len(samples):,} operators timed")
    return samples


def time_networks(bench: Bench, candidates: Sequence[Mapping[str, Scalar]]) -> list[float]:
    """Return the milliseconds of whole networks."""
    calls = {number: bench.network(values) for number, values in enumerate(candidates)}
    samples = _in_turns(calls, _NETWORK_ROUNDS, random.Random(0))  # noqa: S311 - only an order
    return [typical(samples[number]) for number in calls]


def typical(samples: Sequence[float]) -> float:
    """Return the time that represents several calls: their lower quartile."""
    return float(np.quantile(samples, 0.25))


def _turns(operators: Sequence[Operator], generator: random.Random) -> Iterator[list[Operator]]:
    """Yield all operators in groups of limited size.

    The few stems and heads, without which no fit is possible, come first.
    """
    order = generator.sample(operators, len(operators))
    order.sort(key=lambda operator: operator.kind == "block")
    yield from (order[start : start + _TOGETHER] for start in range(0, len(order), _TOGETHER))


def _in_turns(calls: Mapping[T, Call], rounds: int, generator: random.Random) -> dict[T, list[float]]:
    """Return the milliseconds of each call, made once per round; an additional first call does not count."""
    for call in calls.values():
        call()
    samples: dict[T, list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key in generator.sample(list(calls), len(calls)):
            samples[key].append(calls[key]())
    return samples

"""Operators of a network, derived from its definition, and tables with made-up times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from searchsvc.domain import DatasetInfo, Scalar
from searchsvc.spaces import catalogue, networks
from searchsvc.spaces.costs.latency import Device, LatencyTable, TimedOperator
from searchsvc.spaces.costs.operators import Operator
from searchsvc.spaces.fbnetv3 import space as fbnetv3
from searchsvc.spaces.fbnetv3.definition import NetworkDefinition
from searchsvc.spaces.network_family import NETWORK
from searchsvc.spaces.resolution import RESOLUTION, shape_at

CPU = Device(kind="cpu", name="made up", threads=1, clock="none", torch="0")
DIGITS = DatasetInfo("digits", tuple("0123456789"), (1, 8, 8), {})


def operators_of(definition: NetworkDefinition, shape: tuple[int, int, int]) -> Iterator[Operator]:
    """Yield the operators of a network in order, repeated operators repeatedly."""
    stem, (channels, height, width) = definition.stem, shape
    yield Operator("stem", channels, 0, stem.c, stem.k, stem.s, stem.k // 2, 0, height, width)
    height, width = ((one - 1) // stem.s + 1 for one in (height, width))
    for block in definition.blocks():
        numbers = (block.inputs, block.mid, block.outputs, block.kernel, block.stride, block.pad, block.squeeze)
        yield Operator("block", *numbers, height, width)
        height, width = ((one + 2 * block.pad - block.kernel) // block.stride + 1 for one in (height, width))
    yield Operator("head", definition.rows[-2].c, definition.pooled, definition.head.c, 1, 1, 0, 0, height, width)


def operators_of_values(values: Mapping[str, Scalar], shape: tuple[int, int, int]) -> list[Operator]:
    """Return the operators of the network that a trial's values describe."""
    complete = networks.complete(values)
    seen = shape_at(shape, complete[RESOLUTION])
    family = fbnetv3.FAMILIES[str(complete[NETWORK])]
    return list(operators_of(fbnetv3.definition_of(family, complete, min(seen[1:])), seen))


def work(operator: Operator) -> float:
    """Return a time that differs between nearly all operators, and grows with their work."""
    pixels = operator.height * operator.width
    return 1e-3 + 1e-7 * pixels * operator.mid * (operator.inputs + operator.outputs + operator.kernel**2)


def table_of(
    operators: Iterable[Operator], milliseconds: Callable[[Operator], float] = work, **changes: Any
) -> LatencyTable:
    """Return a table, for fbnetv3-small on digits unless `changes` override it."""
    timed = tuple(TimedOperator(operator=one, milliseconds=milliseconds(one), samples=1) for one in operators)
    fields = {"space": "fbnetv3-small", "shape": DIGITS.shape, "classes": 10, "batch": 1, "device": CPU}
    rest = {"date": "2026-01-01", "scale": 1.0, "check": None, "operators": timed}
    return LatencyTable(**{**fields, **rest, **changes})


def small_table(**changes: Any) -> LatencyTable:
    """Return a table of all operators of fbnetv3-small on digits."""
    shipped = catalogue.find("fbnetv3-small")
    return table_of(networks.operators_for(shipped.space, DIGITS, shipped.constants), **changes)

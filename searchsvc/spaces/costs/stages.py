"""Stages: what a network is made of, from the image on, with what each costs.

The cost models of the spaces sum the same pieces: FLOPs and parameters of all stages are those of the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias

CONVOLUTION = "convolution"
INVERTED_RESIDUAL = "inverted residual"
CLASSIFIER = "classifier"


@dataclass(frozen=True, slots=True)
class Stage:
    """Equal blocks, one after another; `name` is that of the stage they belong to."""

    name: str
    block: str
    _: KW_ONLY
    channels: int
    """Of the output."""
    height: int
    width: int
    """Of the output, in pixels."""
    flops: float
    """Multiply-adds of all blocks together, for one image."""
    params: float
    count: int = 1
    kernel: int | None = None
    stride: int = 1
    expansion: float | None = None
    squeezes: bool = False
    """Whether they have squeeze-and-excitation."""
    note: str = ""
    """What else there is to say, on a line."""


Row: TypeAlias = tuple[Stage | None, ...]
"""Stages of several networks that take the same place, one of each; None where a network has none there."""


def aligned(networks: Sequence[Sequence[Stage]]) -> list[Row]:
    """From the image on, a row for each stage that any of the networks has: those of one name, one after another."""
    placed = [_by_place(stages) for stages in networks]
    order: list[_Place] = []
    for found in placed:
        at = 0
        for place in found:
            if place not in order:
                order.insert(at, place)
            at = order.index(place) + 1
    return [tuple(found.get(place) for found in placed) for place in order]


_Place: TypeAlias = tuple[str, int]
"""The name of a stage, and how many of that name came before."""


def _by_place(stages: Sequence[Stage]) -> Mapping[_Place, Stage]:
    seen: Counter[str] = Counter()
    found: dict[_Place, Stage] = {}
    for stage in stages:
        found[stage.name, seen[stage.name]] = stage
        seen[stage.name] += 1
    return found

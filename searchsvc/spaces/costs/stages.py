"""Stages: the parts of a network with their costs, from the image on.

The cost models of the spaces sum the same pieces: FLOPs and parameters of all stages add up to those of the network.
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
    """Equal consecutive blocks of a network; `name` is the name of their stage."""

    name: str
    block: str
    _: KW_ONLY
    channels: int
    """Channels of the output."""
    height: int
    width: int
    """Height and width of the output are in pixels."""
    flops: float
    """Multiply-adds of all blocks together, per image."""
    params: float
    count: int = 1
    kernel: int | None = None
    stride: int = 1
    expansion: float | None = None
    squeezes: bool = False
    """True if the blocks have squeeze-and-excitation."""
    note: str = ""
    """Further remarks, on a single line."""


Row: TypeAlias = tuple[Stage | None, ...]
"""Stages of several networks at the same place, with an entry per network; None for a network without such a stage."""


def aligned(networks: Sequence[Sequence[Stage]]) -> list[Row]:
    """Return a row for each stage of any of the networks, from the image on, with equal names in order."""
    placed = [_by_place(stages) for stages in networks]
    order: list[_Place] = []
    for stages_by_place in placed:
        position = 0
        for place in stages_by_place:
            if place not in order:
                order.insert(position, place)
            position = order.index(place) + 1
    return [tuple(stages_by_place.get(place) for stages_by_place in placed) for place in order]


_Place: TypeAlias = tuple[str, int]
"""The name of a stage, and the number of earlier stages with this name."""


def _by_place(stages: Sequence[Stage]) -> Mapping[_Place, Stage]:
    counts: Counter[str] = Counter()
    by_place: dict[_Place, Stage] = {}
    for stage in stages:
        by_place[stage.name, counts[stage.name]] = stage
        counts[stage.name] += 1
    return by_place

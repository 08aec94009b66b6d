"""The contract of a kind of neck: genes, exact costs, and stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from searchsvc.spaces.costs.gathers import CostPart, Values
from searchsvc.spaces.costs.stages import Stage
from searchsvc.spaces.detector.backbones.base import BackboneKind
from searchsvc.spaces.detector.blocks import Cost
from searchsvc.spaces.detector.genes import FULL, SMALL, Gene
from searchsvc.spaces.detector.maps import Shape
from searchsvc.spaces.detector.stage_factory import StageFactory

Times: TypeAlias = Callable[[Values], Cost]
"""Returns, from the values of the neck's genes, the multiples of FLOPs and of parameters that count."""


def once(values: Values) -> Cost:  # noqa: ARG001 - whatever the values
    """Count FLOPs and parameters once."""
    return Cost(1, 1)


@dataclass(frozen=True, slots=True)
class Term:
    """Parts of a neck that count equally often."""

    parts: Sequence[CostPart]
    times: Times = once


class NeckKind(ABC):
    """Base of necks, which turn the maps C2 to C5 of a backbone into a map of `neck_channels` for each level."""

    name: str
    """The value of the gene `neck`, and the module in `workers.models.necks` that builds it."""
    searched_in: tuple[str, ...] = (FULL, SMALL)
    """The shipped spaces that include it."""
    genes: tuple[Gene, ...] = ()
    """The genes that describe it, in addition to those of `searchsvc.spaces.detector.genes`."""

    def backbone_times(self, values: Values) -> Cost:
        """Return how often the backbone's FLOPs and parameters count; once, unless the neck runs it repeatedly."""
        return once(values)

    @abstractmethod
    def terms(self, backbone: BackboneKind, shape: Shape) -> list[Term]:
        """Return all costs of the neck on a backbone. Times depend only on the neck's own genes."""

    @abstractmethod
    def stages(self, factory: StageFactory, backbone: BackboneKind) -> Iterator[Stage]:
        """Yield the stages of the neck of a detector."""

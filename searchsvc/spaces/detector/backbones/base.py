"""The contract of a kind of backbone: genes, exact costs in parts, and stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial

from searchsvc.spaces.costs.gathers import Array, CostPart, Values
from searchsvc.spaces.costs.stages import Stage
from searchsvc.spaces.detector import blocks
from searchsvc.spaces.detector.blocks import NOTHING, Cost
from searchsvc.spaces.detector.genes import FULL, SMALL, STAGES, SWITCHED, Gene
from searchsvc.spaces.detector.maps import STRIDES, Shape, pixels_at
from searchsvc.spaces.detector.stage_factory import StageFactory
from searchsvc.spaces.resolution import RESOLUTION


class BackboneKind(ABC):
    """Base of backbones with maps C2 to C5 at strides 4, 8, 16 and 32; C3 to C5 may have switches and attention."""

    name: str
    """The value of the gene `backbone`."""
    module: str
    """The module in `workers.models.backbones` that builds it."""
    searched_in: tuple[str, ...] = (FULL, SMALL)
    """The shipped spaces that include it."""
    genes: tuple[Gene, ...]
    """The genes that describe it, in addition to those of `searchsvc.spaces.detector.genes`."""

    @abstractmethod
    def trunk(self, shape: Shape) -> list[CostPart]:
        """Return the parts of stem and stages, without attention and feedback."""

    @abstractmethod
    def width_gene(self, stage: int) -> str:
        """Return the gene that decides the output channels of a stage, 0 to 3 for C2 to C5."""

    @abstractmethod
    def first_width_gene(self, stage: int) -> str:
        """Return the gene that decides the output channels of the first block of a stage."""

    @abstractmethod
    def channels(self, stage: int, width: Array) -> Array:
        """Return the output channels of a block in a stage, from the value of the gene that decides them."""

    @abstractmethod
    def trunk_stages(self, factory: StageFactory, parts: Sequence[CostPart], times: Cost) -> Iterator[Stage]:
        """Yield the stages of a detector, from the parts of `trunk`, whose costs are multiplied by `times`."""

    def parts(self, shape: Shape) -> list[CostPart]:
        """Return all parts: the trunk, and attention at C3 to C5."""
        return [*self.trunk(shape), *(self._attention_part(shape, stage) for stage in SWITCHED)]

    def stages(self, factory: StageFactory, times: Cost) -> Iterator[Stage]:
        """Yield the stages of a detector; the costs of its backbone are multiplied by `times`."""
        shape, values = factory.image, factory.values
        yield from self.trunk_stages(factory, self.trunk(shape), times)
        for stage, name in zip(SWITCHED, STAGES, strict=True):
            if values["attention"] != "none" and values["attention_at"] == name:
                yield factory.stage(
                    name.upper(),
                    f"{str(values['attention']).replace('_', '-')} attention",
                    [self._attention_part(shape, stage)],
                    times,
                    channels=int(self.channels(stage, factory.codes[self.width_gene(stage)])),
                    stride=STRIDES[stage],
                )

    def _attention_part(self, shape: Shape, stage: int) -> CostPart:
        genes = (self.width_gene(stage), "attention", "attention_at", RESOLUTION)
        return CostPart(genes, partial(self._attention_costs, shape, stage))

    def _attention_costs(self, shape: Shape, stage: int, values: Values) -> Array:
        # () or the axes of the values
        c, px = self.channels(stage, values[self.width_gene(stage)]), pixels_at(shape, values, STRIDES[stage])
        kinds = (NOTHING, blocks.non_local(c, c // 2, px, norm=True), blocks.disentangled(c, c // 2, px, norm=True))
        # only at the chosen stage
        attention: Cost = (values["attention_at"] == stage - 1) * blocks.chosen(values["attention"], kinds)
        return attention.packed

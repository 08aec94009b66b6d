"""Builds the stages of a detector from the parts that its cost model sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from searchsvc.spaces.costs.gathers import CostPart, Values
from searchsvc.spaces.costs.stages import Stage
from searchsvc.spaces.detector.blocks import Cost
from searchsvc.spaces.detector.genes import STAGES
from searchsvc.spaces.detector.maps import Shape
from searchsvc.spaces.resolution import RESOLUTION, shape_at

CompleteValues: TypeAlias = Mapping[str, Any]
_NOTES = {"off": "", "plain": "switchable atrous", "deform": "switchable atrous, deformable"}


class StageFactory:
    """Builds the stages of a single detector, with their costs."""

    def __init__(self, values: CompleteValues, codes: Values, image: Shape) -> None:
        self.values = values
        """A value for every gene."""
        self.codes = codes
        """The values as numbers, () each, in the form that parts take."""
        self.image = image
        """Shape of an image of the dataset."""
        self._seen = shape_at(image, values[RESOLUTION])

    def stage(
        self,
        name: str,
        block: str,
        parts: Sequence[CostPart],
        times: Cost,
        *,
        channels: int,
        stride: int,
        by: int = 1,
        kernel: int | None = None,
        count: int = 1,
        expansion: float | None = None,
        squeezes: bool = False,
        note: str = "",
    ) -> Stage:
        """Return a stage; the costs of its parts are multiplied by `times`.

        `stride` is the stride of the output relative to the image, `by` the stride of the stage itself.
        """
        cost = complex(sum(complex(part.costs(self.codes)) for part in parts))
        passes = f"{int(times.flops)} passes" if int(times.flops) > 1 else ""
        _, height, width = self._seen
        return Stage(
            name,
            block,
            channels=channels,
            height=-(-height // stride),  # rounded up, as padding does
            width=-(-width // stride),
            flops=float(times.flops * cost.real),
            params=float(times.params * cost.imag),
            count=count,
            kernel=kernel,
            stride=by,
            expansion=expansion,
            squeezes=squeezes,
            note=", ".join(filter(None, (note, passes))),
        )

    def convolutions_of(self, stage: int) -> str:
        """Return a note on the convolutions of a stage, 0 to 3 for C2 to C5; empty if they are plain."""
        return _NOTES[str(self.values[f"sac_{STAGES[stage - 1]}"])] if stage else ""

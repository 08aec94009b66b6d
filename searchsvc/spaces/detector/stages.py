"""The stages of one detector, from the parts that its cost model sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from searchsvc.domain.parameters import Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.spaces.costs.gathers import Part
from searchsvc.spaces.costs.stages import CONVOLUTION, INVERTED_RESIDUAL, Stage
from searchsvc.spaces.detector import costs as detector_costs
from searchsvc.spaces.detector import space as detector
from searchsvc.spaces.detector.blocks import Cost
from searchsvc.spaces.detector.space import RESNET, STAGES, STRIDES
from searchsvc.spaces.fbnetv3 import space as fbnetv3
from searchsvc.spaces.fbnetv3.definition import round8
from searchsvc.spaces.resolution import RESOLUTION, shape_at

_FIRST_STRIDES = (2, 1, 2, 2, 2)
"""Of the stem and the stages of a ResNet; pooling halves the map between the two."""
Values = Mapping[str, Scalar]


def stages(values: Values, info: DatasetInfo) -> list[Stage]:
    """Of the detector that complete values describe."""
    return list(_Detector(values, info).stages())


class _Detector:
    def __init__(self, values: Values, info: DatasetInfo) -> None:
        self._values, self._classes = values, len(info.classes)
        self._genes = detector_costs.genes_of(values)
        self._shape = shape_at(info.shape, values[RESOLUTION])
        self._name = str(values["backbone"])
        recursive = values["neck"] == "rfp"
        self._steps = int(values["rfp_steps"]) if recursive else 1
        self._copies = 1 if values["rfp_shared"] else self._steps
        parts = detector_costs.parts_of(self._name, info.shape, self._classes)
        self._backbone, self._pyramid, self._feedback, self._recursion, self._head = parts
        self._counts = detector_costs.counts(np.array(self._steps), np.array(self._copies))

    def stages(self) -> Iterator[Stage]:
        backbone, pyramid, feedback, recursion, head = self._counts
        attention = len(STAGES)
        trunk = self._resnet if self._name == RESNET else self._rows
        yield from trunk(self._backbone[:-attention], backbone)
        yield from self._attentions(self._backbone[-attention:], backbone)
        yield from self._levels(pyramid)
        if self._steps > 1:
            width, last = int(self._values["neck_channels"]), STRIDES[-1]
            yield self._stage("neck", "feedback", self._feedback, feedback, channels=width, stride=last, kernel=1)
            fusion = "ASPP and fusion"
            yield self._stage("neck", fusion, [self._recursion], recursion, channels=width, stride=last, kernel=3)
        yield self._stage(
            "head",
            "towers for classes and boxes",
            [self._head],
            head,
            channels=int(self._values["head_width"]),
            stride=int(self._values["finest"]),
            kernel=3,
            count=int(self._values["head_depth"]),
            note=f"at strides {', '.join(map(str, detector.strides_of(self._values)))}",
        )

    def _resnet(self, parts: list[Part], times: Cost) -> Iterator[Stage]:
        width, (stem, *rest) = int(self._values["base_width"]), parts
        yield self._stage("stem", CONVOLUTION, [stem], times, channels=width, stride=2, kernel=7, by=2)
        for stage, part in enumerate(rest):
            yield self._stage(
                f"C{stage + 2}",
                "bottleneck",
                [part],
                times,
                channels=4 * width * 2**stage,
                stride=STRIDES[stage],
                kernel=3,
                by=_FIRST_STRIDES[stage + 1],
                count=int(self._values[f"depth_{stage + 1}"]),
                note=self._switched(stage),
            )

    def _rows(self, parts: list[Part], times: Cost) -> Iterator[Stage]:
        """The stages of a backbone of FBNetV3's make; each row of its table of genes is one."""
        reached = 2
        for stage, part in zip(fbnetv3.STAGES, parts, strict=True):
            by = 2 if stage in (2, 3, 4, 6) else 1
            reached *= by
            level = next(index for index, last in enumerate(detector.LAST_STAGES) if stage <= last)
            first, _ = fbnetv3.EXPANSIONS.get(stage, ("", ""))
            yield self._stage(
                "stem, stage 1" if stage == 1 else f"stage {stage}",
                INVERTED_RESIDUAL,
                [part],
                times,
                channels=round8(float(self._values[f"c{stage}"])),
                stride=reached,
                kernel=int(self._values[f"k{stage}"]),
                by=2 if stage == 1 else by,
                count=int(self._values.get(f"n{stage}", 1)),
                expansion=float(self._values[first]) if first else None,
                squeezes=stage in fbnetv3.SQUEEZED,
                note=self._switched(level),
            )

    def _attentions(self, parts: list[Part], times: Cost) -> Iterator[Stage]:
        for level, (name, part) in enumerate(zip(STAGES, parts, strict=True), start=1):
            if self._values["attention"] != "none" and self._values["attention_at"] == name:
                block = f"{str(self._values['attention']).replace('_', '-')} attention"
                yield self._stage(
                    name.upper(), block, [part], times, channels=self._channels(level), stride=STRIDES[level]
                )

    def _levels(self, times: Cost) -> Iterator[Stage]:
        width, (*levels, coarser) = int(self._values["neck_channels"]), self._pyramid
        block = "recursive pyramid" if self._steps > 1 else "feature pyramid"
        for level, (stride, part) in enumerate(zip(STRIDES, levels, strict=True), start=2):
            if stride >= int(self._values["finest"]):
                yield self._stage(f"P{level}", block, [part], times, channels=width, stride=stride, kernel=3)
        if count := int(self._values["coarser"]):
            stride = STRIDES[-1] * 2**count
            name = "P6" if count == 1 else f"P6 to P{5 + count}"
            yield self._stage(name, CONVOLUTION, [coarser], times, channels=width, stride=stride, kernel=3, by=2)

    def _stage(
        self,
        name: str,
        block: str,
        parts: list[Part],
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
        """`stride` is that of the output against the image, `by` that of the stage itself."""
        cost = complex(sum(complex(part.costs(self._genes)) for part in parts))
        passes = f"{int(times.flops)} passes" if int(times.flops) > 1 else ""
        _, height, width = self._shape
        return Stage(
            name,
            block,
            channels=channels,
            height=-(-height // stride),
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

    def _switched(self, level: int) -> str:
        kind = self._values[f"sac_{STAGES[level - 1]}"] if level else "off"
        return {"off": "", "plain": "switchable atrous", "deform": "switchable atrous, deformable"}[str(kind)]

    def _channels(self, level: int) -> int:
        if self._name == RESNET:
            return int(self._values["base_width"]) * (4 << level)
        return int(round8(float(self._values[f"c{detector.LAST_STAGES[level]}"])))

"""The stages of a detector, from the parts that its cost model sums."""

from __future__ import annotations

from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.spaces.costs.stages import Stage
from searchsvc.spaces.detector.backbones.table import BACKBONES
from searchsvc.spaces.detector.costs import codes_of
from searchsvc.spaces.detector.head import head_stage
from searchsvc.spaces.detector.necks.table import NECKS
from searchsvc.spaces.detector.stage_factory import CompleteValues, StageFactory


def stages(values: CompleteValues, info: DatasetInfo) -> list[Stage]:
    """Return the stages of the detector that complete values describe."""
    backbone, neck = BACKBONES[str(values["backbone"])], NECKS[str(values["neck"])]
    factory = StageFactory(values, codes_of(values), info.shape)
    return [
        *backbone.stages(factory, neck.backbone_times(factory.codes)),
        *neck.stages(factory, backbone),
        head_stage(factory, len(info.classes)),
    ]

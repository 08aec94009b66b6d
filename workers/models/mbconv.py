"""The MBConv network that a candidate's values describe, built of timm's blocks; `searchsvc.spaces.mbconv` draws it.

Shapes: n images, c channels, h x w px, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual, SqueezeExcite
from timm.models._efficientnet_builder import efficientnet_init_weights
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces.mbconv import STAGES, strides


class MBConvNet(nn.Module):
    """Stem, three stages of MBConv blocks, global mean, classifier.

    `values` contains every parameter (`searchsvc.spaces.networks.complete`).
    """

    def __init__(self, values: Mapping[str, Scalar], shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.values: dict[str, Any] = dict(values)
        channels, height, width = shape  # of an image
        stem_stride, *stage_strides = strides(height, width)
        stem_width = self.values["stem_width"]
        self.stem = nn.Sequential(
            nn.Conv2d(channels, stem_width, 3, stem_stride, padding=1, bias=False),
            nn.BatchNorm2d(stem_width),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.Sequential()
        inputs = stem_width  # channels of the first block's input
        # The rates belong to blocks, whatever stage they are in.
        drop_paths = iter(self._drop_paths())
        for stage, stride in zip(STAGES, stage_strides, strict=True):
            self.stages.append(self._stage(stage, inputs, stride, drop_paths))
            inputs = self.values[f"width_{stage}"]  # channels of the stage's output
        self.dropout = self.values["dropout"]
        self.classifier = nn.Linear(inputs, classes)
        efficientnet_init_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (n, K) for normalised images (n, c, h, w)."""
        maps = self.stages(self.stem(images))  # (n, width_3, h', w'), 2 <= h', w' from 8 px on
        pooled = maps.mean((2, 3))  # (n, width_3)
        if self.dropout:
            pooled = F.dropout(pooled, self.dropout, self.training)  # (n, width_3)
        return self.classifier(pooled)  # type: ignore[no-any-return]

    def parts(self) -> list[list[nn.Module]]:
        """Return the modules of the stem, of each stage, and the classifier."""
        return [[self.stem], *([stage] for stage in self.stages), [self.classifier]]

    def _drop_paths(self) -> list[float]:
        """Return the rate of every block: from 0 towards `drop_path`, linearly with depth, as in timm."""
        depth = sum(self.values[f"depth_{stage}"] for stage in STAGES)
        return [self.values["drop_path"] * block / depth for block in range(depth)]

    def _stage(self, stage: int, inputs: int, stride: int, drop_paths: Iterator[float]) -> nn.Sequential:
        outputs, depth = self.values[f"width_{stage}"], self.values[f"depth_{stage}"]
        first = self._block(inputs, outputs, stride, next(drop_paths))
        return nn.Sequential(first, *(self._block(outputs, outputs, 1, next(drop_paths)) for _ in range(depth - 1)))

    def _block(self, inputs: int, outputs: int, stride: int, drop_path: float) -> nn.Module:
        """Build a block, (n, inputs, h, w) -> (n, outputs, ceil(h / stride), ceil(w / stride))."""
        shared = {
            "dw_kernel_size": self.values["kernel"],
            "stride": stride,
            "se_layer": SqueezeExcite if self.values["se"] else None,
            "drop_path_rate": drop_path,
        }
        if self.values["expansion"] == 1:
            return DepthwiseSeparableConv(inputs, outputs, **shared)  # type: ignore[no-any-return]
        return InvertedResidual(inputs, outputs, exp_ratio=self.values["expansion"], **shared)  # type: ignore[no-any-return]

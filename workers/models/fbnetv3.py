"""Networks from rows of groups of blocks (`searchsvc.spaces.fbnetv3.definition`), built of timm's blocks.

Shapes: n images, c channels, h x w px, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from typing import Any

from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual, SqueezeExcite
from timm.models._efficientnet_builder import efficientnet_init_weights
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.spaces.fbnetv3.definition import BlockShape, Layers


class FBNetV3Net(nn.Module):
    """Stem, blocks, head and classifier.

    `drop_path` is the probability of dropping the residual branches of the last blocks; it rises linearly with depth,
    as in timm.
    """

    def __init__(
        self,
        layers: Layers,
        channels: int,
        classes: int,
        *,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        width, blocks = layers.stem_width, layers.blocks
        self.stem = stem_of(channels, width, layers.stem_kernel, layers.stem_stride)
        self.blocks = nn.Sequential(
            *(block_of(block, drop_path * number / len(blocks)) for number, block in enumerate(blocks))
        )
        # Without blocks, the head pools the stem's maps.
        self.head = PooledHead(blocks[-1].outputs if blocks else width, layers.pooled, layers.features)
        self.dropout = dropout
        self.classifier = nn.Linear(layers.features, classes)
        self._ends = layers.ends
        initialise(self, self.blocks)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (n, K) for normalised images (n, c, h, w)."""
        features = self.head(self.blocks(self.stem(images)))  # (n, head.c)
        if self.dropout:
            features = F.dropout(features, self.dropout, self.training)
        return self.classifier(features)  # type: ignore[no-any-return]  # (n, K)

    def parts(self) -> list[list[nn.Module]]:
        """Return the modules of the stem, of each stage, and of the head with the classifier."""
        stages = pairwise((0, *self._ends))
        return [[self.stem], *([*self.blocks[start:end]] for start, end in stages), [self.head, self.classifier]]


class PooledHead(nn.Module):
    """Expansion, mean over the map, and a 1x1 convolution without normalisation, which is cheap after the mean."""

    def __init__(self, inputs: int, pooled: int, outputs: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(
            nn.Conv2d(inputs, pooled, 1, bias=False), nn.BatchNorm2d(pooled), nn.Hardswish(inplace=True)
        )
        self.project = nn.Sequential(nn.Conv2d(pooled, outputs, 1, bias=False), nn.Hardswish(inplace=True))

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs)."""
        pooled = self.expand(maps).mean((2, 3), keepdim=True)  # (n, pooled, 1, 1)
        return self.project(pooled).flatten(1)  # type: ignore[no-any-return]


def stem_of(channels: int, width: int, kernel: int, stride: int) -> nn.Module:
    """Build the first convolution, for images with `channels` channels."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.Hardswish(inplace=True),
    )


def block_of(block: BlockShape, drop_path: float = 0.0) -> nn.Module:
    """Build a block; `drop_path` has no effect without a residual connection."""
    squeeze = partial(SqueezeExcite, rd_channels=block.squeeze, gate_layer=nn.Hardsigmoid) if block.squeeze else None
    shared = {
        "dw_kernel_size": block.kernel,
        "stride": block.stride,
        "noskip": not block.residual,
        "act_layer": nn.Hardswish,
        "se_layer": squeeze,
        "drop_path_rate": drop_path if block.residual else 0.0,
    }
    made = (
        InvertedResidual(block.inputs, block.outputs, exp_ratio=block.mid / block.inputs, **shared)
        if block.expands
        else DepthwiseSeparableConv(block.inputs, block.outputs, **shared)
    )
    # timm pads all three convolutions of a block alike; the definitions only pad the depthwise convolution.
    made.conv_dw.padding = (block.pad, block.pad)
    return made  # type: ignore[no-any-return]


def initialise(network: nn.Module, blocks: Iterable[Any]) -> None:
    """Initialise as timm does, with residual branches at zero: the network starts shallow (arXiv 1706.02677, 5.1)."""
    efficientnet_init_weights(network)
    for block in blocks:
        if block.has_skip:
            # With a scale of 0, the residual branch is 0 and the block is the identity.
            last = block.bn3 if isinstance(block, InvertedResidual) else block.bn2
            nn.init.zeros_(last.weight)

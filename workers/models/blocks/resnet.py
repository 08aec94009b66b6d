"""ResNet of bottlenecks as a backbone (arXiv 1512.03385, table 1), with DetectoRS' options (arXiv 2006.02334).

Stem: 7 x 7 convolution of stride 2, maximum over 3 x 3 of stride 2. Four stages at strides 4, 8, 16 and 32; in all
stages but the first, the first block halves the map and receives the pyramid's feedback (`rfp`). Names are
torchvision's, so that the weights of its ResNet-50, 101 and 152 load without conversion.

Shapes: n images, c channels, h x w px.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from torch import Tensor, nn

from workers.models.blocks.base import Backbone
from workers.models.blocks.bottleneck import EXPANSION, Bottleneck, Convolution, plain
from workers.models.blocks.conv_aws import ConvAWS
from workers.models.blocks.sac import SwitchableAtrousConv


class ResNet(Backbone):
    """Four maps per image, with `outputs` channels.

    `depths` are blocks per stage, `width` the channels of the first stage's 3 x 3 convolutions, `channels` the channels
    of an image. `standardised`: all convolutions but the switchable ones standardise their weights. `sac`: the stages
    whose 3 x 3 convolutions are switchable; `deform`: they are also deformable. `feedback`: channels of the maps that
    are fed back to the stages, 0 for no feedback.
    """

    def __init__(
        self,
        depths: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        *,
        channels: int = 3,
        standardised: bool = False,
        sac: Sequence[bool] = (False, False, False, False),
        deform: bool = False,
        feedback: int = 0,
    ) -> None:
        super().__init__()
        conv: Convolution = partial(ConvAWS, bias=False) if standardised else plain
        switchable: Convolution = partial(SwitchableAtrousConv, deform=deform)
        planes = [width * 2**stage for stage in range(len(depths))]  # channels of the 3 x 3 convolutions
        self.outputs = tuple(EXPANSION * one for one in planes)
        self.conv1, self.bn1, self.relu = conv(channels, width, 7, 2, padding=3), nn.BatchNorm2d(width), nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs = width  # channels of the stem
        for stage, (depth, plane, switches) in enumerate(zip(depths, planes, sac, strict=True)):
            block = partial(Bottleneck, planes=plane, pointwise=conv, spatial=switchable if switches else conv)
            # only C2 keeps the size of the stem's map
            first = block(inputs, stride=1 + (stage > 0), feedback=feedback if stage else 0)
            inputs = self.outputs[stage]  # input channels of the stage's further blocks
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *(block(inputs) for _ in range(depth - 1))))
        self.apply(_initialise)

    def forward(self, images: Tensor, feedback: Mapping[int, Tensor] | None = None) -> list[Tensor]:
        maps = self.maxpool(self.relu(self.bn1(self.conv1(images))))  # (n, width, h / 4, w / 4)
        stage_maps = []
        for stage in range(len(self.outputs)):
            first, *others = self._stage(stage)
            maps = first(maps, (feedback or {}).get(stage))  # (n, outputs_i, h', w')
            for block in others:
                maps = block(maps)  # the shape stays
            stage_maps.append(maps)  # (n, outputs_i, h / 4 / 2^i, w / 4 / 2^i)
        return stage_maps

    def parts(self) -> list[list[nn.Module]]:
        return [[self.conv1, self.bn1], *([*self._stage(stage)] for stage in range(len(self.outputs)))]

    def attend(self, stage: int, block: nn.Module) -> None:
        self._stage(stage).append(block)

    def _stage(self, stage: int) -> nn.Sequential:
        layer = self.get_submodule(f"layer{stage + 1}")
        assert isinstance(layer, nn.Sequential)
        return layer


def _initialise(layer: nn.Module) -> None:
    """Draw weights from He's normal distribution; residual branches start as zero (arXiv 1706.02677, 5.1)."""
    # Convolutions with bias are parts of blocks that start as those blocks need it.
    if isinstance(layer, nn.Conv2d) and layer.bias is None:
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if isinstance(layer, Bottleneck):
        nn.init.zeros_(layer.bn3.weight)

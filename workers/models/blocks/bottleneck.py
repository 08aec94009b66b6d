"""The bottleneck of DetectoRS (arXiv 2006.02334, section 3.1): ResNet's (arXiv 1512.03385) with an input for feedback.

::

    y = relu(BN(conv1(relu(BN(conv3(relu(BN(conv1(x)))))))) + shortcut(x) + feed(F))

`feed` is a 1 x 1 convolution with bias that starts at 0. The 3 x 3 convolution has the stride, and may be switchable
(`sac`); the other convolutions may standardise their weights (`conv_aws`). Names are torchvision's, so that its weights
load without conversion.

Shapes: n images, c channels, h x w px in, h' x w' px out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from torch import Tensor, nn

from workers.models.blocks import initial

EXPANSION = 4
"""Outputs per channel of the 3 x 3 convolution."""
Convolution: TypeAlias = Callable[..., nn.Conv2d]
"""Makes a convolution without bias from nn.Conv2d's arguments."""
plain: Convolution = partial(nn.Conv2d, bias=False)


def feedback_conv(channels: int, outputs: int) -> nn.Conv2d:
    """Return the convolution of fed back maps: (n, channels, h', w') -> (n, outputs, h', w'), 0 at the start."""
    conv = nn.Conv2d(channels, outputs, 1)
    initial.at_zero(conv)
    return conv


class Bottleneck(nn.Module):
    """A block from `inputs` to 4 `planes` channels. `feedback`: channels of the fed back maps, 0 for no feedback."""

    def __init__(
        self,
        inputs: int,
        planes: int,
        stride: int = 1,
        *,
        feedback: int = 0,
        pointwise: Convolution = plain,
        spatial: Convolution = plain,
    ) -> None:
        super().__init__()
        outputs = EXPANSION * planes  # channels of the sum
        self.conv1, self.bn1 = pointwise(inputs, planes, 1), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = spatial(planes, planes, 3, stride, padding=1), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = pointwise(planes, outputs, 1), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        same = stride == 1 and inputs == outputs  # the shortcut needs no convolution
        self.downsample = (
            None if same else nn.Sequential(pointwise(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )
        self.rfp_conv = feedback_conv(feedback, outputs) if feedback else None

    def forward(self, maps: Tensor, feedback: Tensor | None = None) -> Tensor:
        """Map (n, inputs, h, w), and the feedback (n, feedback, h', w'), to (n, 4 planes, h', w')."""
        branch = self.relu(self.bn1(self.conv1(maps)))  # (n, planes, h, w)
        branch = self.relu(self.bn2(self.conv2(branch)))  # (n, planes, h', w')
        # (n, 4 planes, h', w')
        summed: Tensor = self.bn3(self.conv3(branch)) + (self.downsample(maps) if self.downsample else maps)
        if feedback is not None:
            assert self.rfp_conv is not None, "fed back to, but built without feedback"
            summed = summed + self.rfp_conv(feedback)  # (n, 4 planes, h', w')
        return summed.relu_()

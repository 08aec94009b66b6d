"""The contracts of backbones and necks, the exchangeable parts of detectors.

Shapes: n images, c channels, h x w px.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn


class Backbone(nn.Module):
    """Four maps of `outputs` channels, C2 to C5 at strides 4, 8, 16 and 32, which a neck may feed back to.

    What it takes to be fed back is built only if the constructor's `feedback`, a number of channels, is not 0.
    """

    outputs: tuple[int, ...]

    @abstractmethod
    def forward(self, images: Tensor, feedback: Mapping[int, Tensor] | None = None) -> list[Tensor]:
        """Images (n, c, h, w), and by stage what is fed back to it -> (n, outputs_i, h / 4 / 2^i, w / 4 / 2^i) each."""

    @abstractmethod
    def parts(self) -> list[list[nn.Module]]:
        """Return the modules of the stem and of each stage."""

    @abstractmethod
    def attend(self, stage: int, block: nn.Module) -> None:
        """Put a block that keeps the shape at the end of a stage."""


class Neck(nn.Module):
    """Backbones, and what turns their maps into one map per level of the same number of channels.

    A neck has one backbone as a rule; it is part of the neck since the neck decides how often it runs, on what.
    """

    backbones: nn.ModuleList

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """(n, c, h, w) -> the pyramid, fine to coarse, (n, channels, h_i, w_i) each."""

    def equalise(self) -> None:
        """Copy the first backbone's weights to the others: to be called after pretrained ones were loaded into it."""
        first, *others = self.backbones
        for other in others:
            other.load_state_dict(first.state_dict(), strict=False)  # the first is fed nothing

    def parts(self) -> list[list[nn.Module]]:
        """Return the modules of the stems and of each stage of all backbones, and those that follow."""
        own = [cast("Backbone", backbone).parts() for backbone in self.backbones]
        stages = [[module for part in parts for module in part] for parts in zip(*own, strict=True)]
        return [*stages, [module for module in self.children() if module is not self.backbones]]

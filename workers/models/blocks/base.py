"""The contracts of backbones and necks, the exchangeable parts of detectors.

Shapes: n images, c channels, h x w px.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn


class Backbone(nn.Module):
    """Four maps of `outputs` channels, C2 to C5 at strides 4, 8, 16 and 32; a neck may feed maps back to it.

    The layers for feedback are built only if the constructor's `feedback`, a number of channels, is not 0.
    """

    outputs: tuple[int, ...]

    @abstractmethod
    def forward(self, images: Tensor, feedback: Mapping[int, Tensor] | None = None) -> list[Tensor]:
        """Map images (n, c, h, w), and the fed back maps by stage, to maps (n, outputs_i, h / 4 / 2^i, w / 4 / 2^i)."""

    @abstractmethod
    def parts(self) -> list[list[nn.Module]]:
        """Return the modules of the stem and of each stage."""

    @abstractmethod
    def attend(self, stage: int, block: nn.Module) -> None:
        """Append a block that keeps the shape to a stage."""


class Neck(nn.Module):
    """Backbones, and the layers that turn their maps into a map per level, all with the same number of channels.

    Most necks have a single backbone. It is part of the neck because the neck decides how often it runs, and on which
    maps.
    """

    backbones: nn.ModuleList

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (n, c, h, w) to the pyramid, fine to coarse, (n, channels, h_i, w_i) each."""

    def equalise(self) -> None:
        """Copy the first backbone's weights to the others; call it after loading pretrained weights into the first."""
        first, *others = self.backbones
        for other in others:
            other.load_state_dict(first.state_dict(), strict=False)  # the first is fed nothing

    def parts(self) -> list[list[nn.Module]]:
        """Return the modules of the stems and of each stage of all backbones, followed by the neck's own."""
        own = [cast("Backbone", backbone).parts() for backbone in self.backbones]
        stages = [[module for part in parts for module in part] for parts in zip(*own, strict=True)]
        return [*stages, [module for module in self.children() if module is not self.backbones]]

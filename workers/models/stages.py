"""The stages of a network, from its stem on, so that some of them can learn more slowly than others, or not at all."""

from __future__ import annotations

from typing import Protocol, cast

from timm.models.resnet import ResNet
from torch import nn

from workers.models.resnet import parts_of_resnet


class StagedNetwork(Protocol):
    """A network that knows its stages."""

    def parts(self) -> list[list[nn.Module]]:
        """Stem, stages, and what follows the last of them: modules in which no weight is twice."""


def parts_of(network: nn.Module) -> list[list[nn.Module]]:
    """Return the stages of any network of a task."""
    return parts_of_resnet(network) if isinstance(network, ResNet) else cast("StagedNetwork", network).parts()


def frozen(network: nn.Module, stages: int) -> list[nn.Module]:
    """The modules of so many stages, and of the stem before them, which are not trained from now on; 0: none.

    They keep the statistics of their normalisation as long as they are in evaluation mode. What follows the last stage
    is always trained.
    """
    parts = parts_of(network)[: min(stages + 1, len(parts_of(network)) - 1)] if stages else []
    modules = [module for part in parts for module in part]
    for module in modules:
        module.requires_grad_(False)
    return modules

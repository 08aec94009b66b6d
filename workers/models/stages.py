"""The stages of a network, starting with its stem, so that some can learn more slowly than others, or not at all."""

from __future__ import annotations

from typing import Protocol, cast

from timm.models.resnet import ResNet
from torch import nn

from workers.models.resnet import parts_of_resnet


class StagedNetwork(Protocol):
    """A network that lists the modules of its stages."""

    def parts(self) -> list[list[nn.Module]]:
        """Return the modules of the stem, of each stage, and of the remainder; no weight is in two modules."""


def parts_of(network: nn.Module) -> list[list[nn.Module]]:
    """Return the stages of any network of a task."""
    return parts_of_resnet(network) if isinstance(network, ResNet) else cast("StagedNetwork", network).parts()


def frozen(network: nn.Module, stages: int) -> list[nn.Module]:
    """Freeze the stem and the first `stages` stages, and return their modules; 0 freezes nothing.

    They keep the statistics of their normalisation as long as they are in evaluation mode. The modules after the last
    stage are always trained.
    """
    parts = parts_of(network)[: min(stages + 1, len(parts_of(network)) - 1)] if stages else []
    modules = [module for part in parts for module in part]
    for module in modules:
        module.requires_grad_(False)
    return modules

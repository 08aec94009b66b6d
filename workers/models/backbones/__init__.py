"""The backbones of detectors: a module with a function `build` for each kind in the space's table of backbones.

All give four maps, C2 to C5 at strides 4, 8, 16 and 32, accept feedback from a recursive pyramid, and can have
switchable atrous convolutions and non-local blocks. The extended blocks keep their names and their weights, so that the
weights of a trained classifier load (`pretrained`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeAlias

from torch import nn

from searchsvc.spaces.detector.backbones.table import BACKBONES
from searchsvc.spaces.detector.genes import STAGES, SWITCHED
from workers.models.blocks.base import Backbone
from workers.models.blocks.dnl import DisentangledNonLocal
from workers.models.blocks.non_local import NonLocal
from workers.models.blocks.sac import SwitchableAtrousConv

Values: TypeAlias = Mapping[str, Any]
_ATTENTION: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {"non_local": partial(NonLocal, norm=True), "dnl": partial(DisentangledNonLocal, norm=True)}
)
"""Attention blocks by name, normalised as in mmsegmentation's heads."""
BUILDERS: Mapping[str, Callable[[Values, int, int], Backbone]] = MappingProxyType(
    {name: import_module(f"{__name__}.{kind.module}").build for name, kind in BACKBONES.items()}
)
"""Functions by kind: complete values, channels of images, channels of feedback -> a backbone without extensions."""


def backbone_of(values: Values, channels: int, feedback: int = 0) -> Backbone:
    """Build the backbone that complete values describe, on images with that many channels; `feedback` as in `Backbone`.
    """
    backbone = BUILDERS[values["backbone"]](values, channels, feedback)
    stages = backbone.parts()[1:]  # C2 to C5, without the stem
    for stage, name in zip(SWITCHED, STAGES, strict=True):
        if values[f"sac_{name}"] != "off":
            switch(stages[stage], deform=values[f"sac_{name}"] == "deform")
        if values["attention"] != "none" and values["attention_at"] == name:
            backbone.attend(stage, _ATTENTION[values["attention"]](backbone.outputs[stage]))
    return backbone


def switch(modules: Iterable[nn.Module], *, deform: bool) -> None:
    """Replace every convolution larger than 1 x 1 px inside the modules with an equivalent switchable convolution."""
    for parent in [submodule for module in modules for submodule in module.modules()]:
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv2d) and child.kernel_size != (1, 1):
                setattr(parent, name, SwitchableAtrousConv.of(child, deform=deform))

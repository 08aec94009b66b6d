"""The spaces of one-stage detectors: backbone, neck and head, together with the recipe that trains them.

::

    image -> backbone: C2, C3, C4, C5 at strides 4, 8, 16, 32 -> neck: a map per level -> head: classes, boxes

| gene | meaning |
|---|---|
| backbone | `resnet` (`base_width`, `depth_1` ... `depth_4`, `standardised`), `fbnetv3`, `fbnetv3-small` |
| sac_c3, sac_c4, sac_c5 | switchable atrous convolutions in a stage: `off`, `plain`, `deform` |
| attention, attention_at | non-local block at the end of a stage: `none`, `non_local`, `dnl` |
| neck, rfp_steps, rfp_shared | `fpn`, or `rfp` of so many steps, whose backbones share weights or not |
| neck_channels | of every level |
| finest, coarser | stride of the finest level, 4 or 8; levels beyond that of C5 |
| head_depth, head_width | convolutions of a tower and their channels |

Genes of a backbone, of the recursive pyramid and so on are active only where they mean something. FBNetV3's stages end
C2 to C5 with its stages 2, 3, 5 and 7; its head is left out, and all its strides are 2, whatever the size of images.
Blocks and their sources: `workers.models.blocks`; the recipe: `searchsvc.spaces.recipe`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from searchsvc.domain.parameters import Categorical, Float, Integer, Parameter, Scalar
from searchsvc.errors import InvalidInput
from searchsvc.spaces import recipe
from searchsvc.spaces.fbnetv3 import identity as fbnetv3_identity
from searchsvc.spaces.fbnetv3 import space as fbnetv3
from searchsvc.spaces.fbnetv3.definition import Definition
from searchsvc.spaces.limits import Limits
from searchsvc.spaces.space import Identity, Space

STRIDES = (4, 8, 16, 32)
"""Of the backbone's maps C2 to C5."""
SWITCHED = (1, 2, 3)
"""Which of these stages can have switchable convolutions."""
LAST_STAGES = (2, 3, 5, 7)
"""The stages of FBNetV3 that end with C2 to C5."""
RESNET = "resnet"
ROWS: Mapping[str, fbnetv3.Family] = MappingProxyType(
    {name: replace(one, halved_from=fbnetv3.FULL.halved_from) for name, one in fbnetv3.FAMILIES.items()}
)
"""Backbones of FBNetV3's make."""
BACKBONES = (RESNET, *ROWS)
SAC = ("off", "plain", "deform")
STAGES = ("c3", "c4", "c5")
ATTENTION = ("none", "non_local", "dnl")
NECKS = ("fpn", "rfp")
SMALLEST = 65
"""Sides of images below this leave maps of less than 3 px at stride 32, too small for switchable convolutions."""

_OF_RESNET = {"backbone": (RESNET,)}
_OF_RFP = {"neck": ("rfp",)}
_IF_PRETRAINED = {recipe.INIT: (recipe.PRETRAINED,)}


@dataclass(frozen=True, slots=True)
class Family:
    """Detectors whose parameters have the same defaults."""

    name: str
    defaults: Mapping[str, Scalar]


def _without_trims(genes: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """A trimmed map would not have the size that its stride says."""
    return {name: value for name, value in genes.items() if not name.startswith("trim")}


_COMMON: Mapping[str, Scalar] = MappingProxyType(
    {
        "standardised": False,
        "sac_c3": "off",
        "sac_c4": "off",
        "sac_c5": "off",
        "attention": "none",
        "attention_at": "c4",
        "neck": "fpn",
        "rfp_steps": 2,
        "rfp_shared": False,
        "finest": 8,
    }
)
FULL = Family(
    "detector",
    MappingProxyType(
        {
            "backbone": RESNET,
            "base_width": 64,
            "depth_1": 3,
            "depth_2": 4,
            "depth_3": 6,
            "depth_4": 3,
            **_COMMON,
            "neck_channels": 256,
            "coarser": 2,
            "head_depth": 4,
            "head_width": 256,
            **_without_trims(fbnetv3.FULL.defaults),
        }
    ),
)
"""ResNet-50 with the neck and the head of ATSS and Generalized Focal Loss."""
SMALL = Family(
    "detector-small",
    MappingProxyType(
        {
            "backbone": RESNET,
            "base_width": 8,
            "depth_1": 1,
            "depth_2": 1,
            "depth_3": 1,
            "depth_4": 1,
            **_COMMON,
            "neck_channels": 24,
            "coarser": 0,
            "head_depth": 1,
            "head_width": 24,
            **_without_trims(fbnetv3.SMALL.defaults),
        }
    ),
)
FAMILIES: Mapping[str, Family] = MappingProxyType({one.name: one for one in (FULL, SMALL)})

_WIDEST: tuple[Parameter, ...] = (
    Categorical("backbone", BACKBONES),
    Integer("base_width", 4, 256, 4),
    *(Integer(f"depth_{stage}", 1, 64) for stage in range(1, 5)),
    Categorical("standardised", (False, True)),
    *(Categorical(f"sac_{stage}", SAC) for stage in STAGES),
    Categorical("attention", ATTENTION),
    Categorical("attention_at", STAGES),
    Categorical("neck", NECKS),
    Integer("rfp_steps", 2, 8),
    Categorical("rfp_shared", (False, True)),
    Integer("neck_channels", 8, 1024, 8),
    Categorical("finest", STRIDES[:2]),
    Integer("coarser", 0, 3),
    Integer("head_depth", 1, 8),
    Integer("head_width", 8, 1024, 8),
    *(one for one in fbnetv3.LIMITS.values() if not one.name.startswith("trim")),
)
LIMITS: Limits = MappingProxyType({parameter.name: parameter for parameter in _WIDEST})
"""What can be built, of either family."""


def full_space() -> Space:
    """`detector`: for images of COCO's size, on GPUs."""
    return Space(
        [
            Categorical("backbone", (RESNET, fbnetv3.FULL.name)),
            Categorical("base_width", (32, 48, 64), when=_OF_RESNET),
            Integer("depth_1", 2, 4, when=_OF_RESNET),
            Integer("depth_2", 2, 8, when=_OF_RESNET),
            Integer("depth_3", 4, 23, when=_OF_RESNET),
            Integer("depth_4", 2, 4, when=_OF_RESNET),
            Categorical("standardised", (False, True), when=_OF_RESNET),
            *_only_of(fbnetv3.FULL.name, fbnetv3.FULL_GENES),
            *_extensions(SAC, steps=3),
            Integer("neck_channels", 128, 256, 64),
            Categorical("finest", (4, 8)),
            Integer("coarser", 0, 2),
            Integer("head_depth", 2, 4),
            Integer("head_width", 128, 256, 64),
            Integer("resolution", 512, 896, 128),
            *_losses(bins=21),
            *_training(ema_decay=(0.99, 0.9998), lr=(2e-5, 4e-4)),
            Categorical(recipe.INIT, (recipe.SCRATCH, recipe.PRETRAINED)),
            Integer(recipe.FROZEN_STAGES, 0, 2, when=_IF_PRETRAINED),
            Float(recipe.LAYER_DECAY, 0.6, 1.0, 0.1, when=_IF_PRETRAINED),
        ]
    )


FULL_CONSTANTS: Mapping[str, Scalar] = MappingProxyType({"network": FULL.name, "batch_size": 16, "sgd_lr_scale": 100.0})


def small_space() -> Space:
    """`detector-small`: for images of 128 to 160 px, and training from scratch on CPUs."""
    return Space(
        [
            Categorical("backbone", (RESNET, fbnetv3.SMALL.name)),
            Categorical("base_width", (4, 8, 12), when=_OF_RESNET),
            *(Integer(f"depth_{stage}", 1, 2, when=_OF_RESNET) for stage in range(1, 5)),
            Categorical("standardised", (False, True), when=_OF_RESNET),
            *_only_of(fbnetv3.SMALL.name, map(_light, fbnetv3.SMALL_GENES)),
            *_extensions(SAC[:2], steps=2),
            Integer("neck_channels", 16, 32, 8),
            Categorical("finest", (4, 8)),
            Integer("coarser", 0, 1),
            Integer("head_depth", 1, 2),
            Integer("head_width", 16, 24, 8),
            Integer("resolution", 128, 160, 16),
            *_losses(bins=17),
            *_training(ema_decay=(0.9, 0.998), lr=(5e-4, 1e-2)),
        ]
    )


SMALL_CONSTANTS: Mapping[str, Scalar] = MappingProxyType(
    {"network": SMALL.name, "batch_size": 16, "sgd_lr_scale": 10.0}
)


def _light(gene: Parameter) -> Parameter:
    """At most two blocks in a stage, which expand by three at most."""
    most = {"n": 2, "e": 3}.get(gene.name[0])
    return replace(gene, high=most) if isinstance(gene, Integer) and most else gene


def _only_of(backbone: str, genes: Iterable[Parameter]) -> list[Parameter]:
    return [replace(one, when={"backbone": (backbone,)}) for one in genes]


def _extensions(switches: tuple[str, ...], *, steps: int) -> list[Parameter]:
    """SAC, attention and the recursive pyramid, of at most so many steps."""
    return [
        *(Categorical(f"sac_{stage}", switches) for stage in STAGES),
        Categorical("attention", ATTENTION),
        Categorical("attention_at", STAGES[1:], when={"attention": ATTENTION[1:]}),
        Categorical("neck", NECKS),
        *([Integer("rfp_steps", 2, steps, when=_OF_RFP)] if steps > 2 else []),
        Categorical("rfp_shared", (False, True), when=_OF_RFP),
    ]


def _losses(*, bins: int) -> list[Parameter]:
    """What a head learns by; distributions over 9 to so many distances."""
    return [
        Categorical("class_loss", recipe.CLASS_LOSSES),
        Float("qfl_beta", 1.0, 3.0, 0.5, when={"class_loss": ("qfl",)}),
        Categorical("boxes", recipe.BOXES),
        Integer("dfl_bins", 9, bins, 4, when={"boxes": ("dfl",)}),
        Float("dfl_weight", 0.1, 0.5, 0.05, when={"boxes": ("dfl",)}),
        Categorical("sample_weighting", recipe.SAMPLE_WEIGHTINGS),
    ]


def strides_of(values: Mapping[str, Any]) -> tuple[int, ...]:
    """Of the levels of the neck, fine to coarse."""
    coarser = tuple(STRIDES[-1] * 2**number for number in range(1, values["coarser"] + 1))
    return (*STRIDES[STRIDES.index(values["finest"]) :], *coarser)


def bins_of(values: Mapping[str, Any]) -> int:
    """Per side of a box; 0: a Dirac distance."""
    return int(values["dfl_bins"]) if values["boxes"] == "dfl" else 0


def rows_of(values: Mapping[str, Any]) -> tuple[Definition, tuple[int, ...]]:
    """The network of FBNetV3's make that is the backbone, and how many of its blocks come up to each of C2 to C5."""
    definition = fbnetv3.definition_of(ROWS[values["backbone"]], values, SMALLEST)
    ends = (sum(one.n for one in definition.groups if one.stage <= last) for last in LAST_STAGES)
    return definition, tuple(ends)


def check_side(side: float, pointer: str) -> None:
    """Raise InvalidInput where images with a side of so many px are too small."""
    if side < SMALLEST:
        raise InvalidInput.at(pointer, f"a detector takes images of {SMALLEST} px or more on a side, not {side:g}")


def identity(space: Space, defaults: Mapping[str, Scalar]) -> Identity:
    """Which candidates are the same detector: those whose FBNetV3 genes are the same backbone, all else being equal."""
    trims: dict[str, Scalar] = dict.fromkeys((f"trim{stage}" for stage in fbnetv3.TRIMMED), False)
    return fbnetv3_identity.identity(space, {**defaults, **trims})


def _training(*, ema_decay: tuple[float, float], lr: tuple[float, float]) -> list[Parameter]:
    """What moves the weights, and what images go through; the ranges depend on how long it takes."""
    return [
        Categorical("ema", (False, True)),
        Float("ema_decay", *ema_decay, when={"ema": (True,)}),
        Categorical("optimizer", ("sgd", "adamw")),
        Float("lr", *lr, log=True),
        Categorical("lr_decay", (0.0, 0.8)),
        Float("weight_decay", 1e-5, 5e-2, log=True),
        Categorical("augmentation", recipe.AUGMENTATIONS),
    ]

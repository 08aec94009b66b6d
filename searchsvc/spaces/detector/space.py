"""The spaces of one-stage detectors: backbone, neck and head, together with the recipe that trains them.

Genes are listed in `genes` and by kind in `backbones` and `necks`; those of a kind are active only in detectors of that
kind. Blocks and their sources: `workers.models.blocks`; the recipe: `searchsvc.spaces.recipe`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from searchsvc.domain.parameters import Categorical, Float, Integer, Parameter, Scalar
from searchsvc.spaces import recipe
from searchsvc.spaces.detector.backbones import table as backbones
from searchsvc.spaces.detector.backbones.fbnetv3 import UNTRIMMED
from searchsvc.spaces.detector.genes import EXTENSIONS, HEAD, LEVELS, Gene
from searchsvc.spaces.detector.genes import FULL as FULL_NAME
from searchsvc.spaces.detector.genes import SMALL as SMALL_NAME
from searchsvc.spaces.detector.necks import table as necks
from searchsvc.spaces.fbnetv3 import identity as fbnetv3_identity
from searchsvc.spaces.limits import Limits
from searchsvc.spaces.space import Identity, Space

_IF_PRETRAINED = {recipe.INIT: (recipe.PRETRAINED,)}


@dataclass(frozen=True, slots=True)
class DetectorFamily:
    """Detectors whose parameters have the same defaults."""

    name: str
    defaults: Mapping[str, Scalar]


def _all_genes() -> Iterator[Gene]:
    """Yield the genes in the order of the spaces; a gene of several kinds comes once for each of them."""
    yield backbones.GENE
    for backbone in backbones.BACKBONES.values():
        yield from (gene.under("backbone", backbone.name, backbone.searched_in) for gene in backbone.genes)
    yield from EXTENSIONS
    yield necks.GENE
    for neck in necks.NECKS.values():
        yield from (gene.under("neck", neck.name, neck.searched_in) for gene in neck.genes)
    yield from LEVELS
    yield from HEAD


_GENES = tuple(_all_genes())


def _family(name: str) -> DetectorFamily:
    return DetectorFamily(name, MappingProxyType({gene.name: gene.defaults[name] for gene in _GENES}))


FULL = _family(FULL_NAME)
"""ResNet-50 with the neck and the head of ATSS and Generalized Focal Loss."""
SMALL = _family(SMALL_NAME)
FAMILIES: Mapping[str, DetectorFamily] = MappingProxyType({family.name: family for family in (FULL, SMALL)})

LIMITS: Limits = MappingProxyType({gene.name: gene.limit for gene in _GENES})
"""The widest range of each gene that can be built, in either family."""


def full_space() -> Space:
    """Return the space `detector`: for images of COCO's size, on GPUs."""
    return Space(
        [
            *_searched(FULL),
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
    """Return the space `detector-small`: for images of 128 to 160 px, and training from scratch on CPUs."""
    return Space(
        [
            *_searched(SMALL),
            Integer("resolution", 128, 160, 16),
            *_losses(bins=17),
            *_training(ema_decay=(0.9, 0.998), lr=(5e-4, 1e-2)),
        ]
    )


SMALL_CONSTANTS: Mapping[str, Scalar] = MappingProxyType(
    {"network": SMALL.name, "batch_size": 16, "sgd_lr_scale": 10.0}
)


def identity(space: Space, defaults: Mapping[str, Scalar]) -> Identity:
    """Return the function that identifies equal detectors: different FBNetV3 genes may give the same backbone."""
    return fbnetv3_identity.identity(space, {**defaults, **UNTRIMMED})


def _searched(family: DetectorFamily) -> list[Parameter]:
    return [gene.searched[family.name] for gene in _GENES if family.name in gene.searched]


def _losses(*, bins: int) -> list[Parameter]:
    """Return the genes of the losses, with distributions over 9 to `bins` distances."""
    return [
        Categorical("class_loss", recipe.CLASS_LOSSES),
        Float("qfl_beta", 1.0, 3.0, 0.5, when={"class_loss": ("qfl",)}),
        Categorical("boxes", recipe.BOXES),
        Integer("dfl_bins", 9, bins, 4, when={"boxes": ("dfl",)}),
        Float("dfl_weight", 0.1, 0.5, 0.05, when={"boxes": ("dfl",)}),
        Categorical("sample_weighting", recipe.SAMPLE_WEIGHTINGS),
    ]


def _training(*, ema_decay: tuple[float, float], lr: tuple[float, float]) -> list[Parameter]:
    """Return the genes of weight updates and augmentation; the ranges depend on the length of the training."""
    return [
        Categorical("ema", (False, True)),
        Float("ema_decay", *ema_decay, when={"ema": (True,)}),
        Categorical("optimizer", ("sgd", "adamw")),
        Float("lr", *lr, log=True),
        Categorical("lr_decay", (0.0, 0.8)),
        Float("weight_decay", 1e-5, 5e-2, log=True),
        Categorical("augmentation", recipe.AUGMENTATIONS),
    ]

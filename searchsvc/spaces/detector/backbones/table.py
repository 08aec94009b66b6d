"""All kinds of backbones, by the value of the gene `backbone`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from searchsvc.spaces.detector.backbones.base import BackboneKind
from searchsvc.spaces.detector.backbones.fbnetv3 import FBNetV3Kind
from searchsvc.spaces.detector.backbones.resnet import ResNetKind
from searchsvc.spaces.detector.genes import FULL, SMALL, Gene, choice
from searchsvc.spaces.fbnetv3 import space as fbnetv3

FBNETV3: Mapping[str, FBNetV3Kind] = MappingProxyType(
    {kind.name: kind for kind in (FBNetV3Kind(fbnetv3.FULL, FULL), FBNetV3Kind(fbnetv3.SMALL, SMALL))}
)
BACKBONES: Mapping[str, BackboneKind] = MappingProxyType(
    {kind.name: kind for kind in (ResNetKind(), *FBNETV3.values())}
)
GENE = Gene.of(
    "backbone",
    choice(*BACKBONES),
    full=("resnet", choice(*(kind.name for kind in BACKBONES.values() if FULL in kind.searched_in))),
    small=("resnet", choice(*(kind.name for kind in BACKBONES.values() if SMALL in kind.searched_in))),
)

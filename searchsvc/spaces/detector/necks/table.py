"""All kinds of necks, by the value of the gene `neck`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from searchsvc.spaces.detector.genes import FULL, SMALL, Gene, choice
from searchsvc.spaces.detector.necks.base import NeckKind
from searchsvc.spaces.detector.necks.fpn import FPNKind
from searchsvc.spaces.detector.necks.rfp import RFPKind

NECKS: Mapping[str, NeckKind] = MappingProxyType({kind.name: kind for kind in (FPNKind(), RFPKind())})
GENE = Gene.of(
    "neck",
    choice(*NECKS),
    full=("fpn", choice(*(kind.name for kind in NECKS.values() if FULL in kind.searched_in))),
    small=("fpn", choice(*(kind.name for kind in NECKS.values() if SMALL in kind.searched_in))),
)

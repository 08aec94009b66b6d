"""The genes of detectors, each listed once: its widest range, the defaults, and the ranges of the shipped spaces.

::

    image -> backbone: C2, C3, C4, C5 at strides 4, 8, 16, 32 -> neck: a map per level -> head: classes, boxes

| gene | meaning |
|---|---|
| sac_c3, sac_c4, sac_c5 | switchable atrous convolutions in a stage: `off`, `plain`, `deform` |
| attention, attention_at | non-local block at the end of a stage: `none`, `non_local`, `dnl` |
| neck_channels | channels of every level |
| finest, coarser | stride of the finest level, 4 or 8; number of levels beyond that of C5 |
| head_depth, head_width | convolutions of a tower and their channels |

Genes of a single kind of backbone or neck are listed in the file of that kind (`backbones`, `necks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

from searchsvc.domain.parameters import Categorical, Integer, Parameter, Scalar
from searchsvc.spaces.detector.maps import STRIDES

FULL, SMALL = "detector", "detector-small"
"""The families of detectors, and the shipped spaces of the same names."""
SAC = ("off", "plain", "deform")
STAGES = ("c3", "c4", "c5")
"""Stages that can have switchable convolutions or attention."""
SWITCHED = (1, 2, 3)
"""Their positions among C2 to C5."""
ATTENTION = ("none", "non_local", "dnl")

Range: TypeAlias = Callable[[str], Parameter]
"""A parameter without its name."""


def choice(*choices: Scalar) -> Range:
    """Return the range of a choice."""
    return lambda name: Categorical(name, choices)


def whole(low: int, high: int, step: int = 1) -> Range:
    """Return the range of whole numbers from `low` to `high`."""
    return lambda name: Integer(name, low, high, step)


@dataclass(frozen=True, slots=True)
class Gene:
    """A parameter of the architecture of detectors."""

    limit: Parameter
    """The widest range that can be built."""
    defaults: Mapping[str, Scalar]
    """Default by family."""
    searched: Mapping[str, Parameter]
    """Range in the shipped space by family; in other families, the gene has its default."""

    @classmethod
    def of(
        cls,
        name: str,
        limit: Range,
        full: tuple[Scalar, Range | None],
        small: tuple[Scalar, Range | None],
        when: Mapping[str, tuple[Scalar, ...]] = MappingProxyType({}),
    ) -> Gene:
        """Make a gene from (default, searched range) in both families; it is active in the spaces under `when`."""
        families = {FULL: full, SMALL: small}
        return cls(
            limit(name),
            {family: default for family, (default, _) in families.items()},
            {
                family: replace(searched(name), when=when)
                for family, (_, searched) in families.items()
                if searched is not None
            },
        )

    @property
    def name(self) -> str:
        return self.limit.name

    def under(self, owner: str, kind: str, families: Sequence[str]) -> Gene:
        """Return a copy that is active only if the parameter `owner` is `kind`, and searched only in `families`."""
        active = {
            family: replace(parameter, when={owner: (kind,)})
            for family, parameter in self.searched.items()
            if family in families
        }
        return replace(self, searched=active)


EXTENSIONS = (
    *(
        Gene.of(f"sac_{stage}", choice(*SAC), full=("off", choice(*SAC)), small=("off", choice(*SAC[:2])))
        for stage in STAGES
    ),
    Gene.of("attention", choice(*ATTENTION), full=("none", choice(*ATTENTION)), small=("none", choice(*ATTENTION))),
    Gene.of(
        "attention_at",
        choice(*STAGES),
        full=("c4", choice(*STAGES[1:])),
        small=("c4", choice(*STAGES[1:])),
        when={"attention": ATTENTION[1:]},
    ),
)
"""Extensions of every kind of backbone."""
LEVELS = (
    Gene.of("neck_channels", whole(8, 1024, 8), full=(256, whole(128, 256, 64)), small=(24, whole(16, 32, 8))),
    Gene.of("finest", choice(*STRIDES[:2]), full=(8, choice(4, 8)), small=(8, choice(4, 8))),
    Gene.of("coarser", whole(0, 3), full=(2, whole(0, 2)), small=(0, whole(0, 1))),
)
"""The levels of every kind of neck."""
HEAD = (
    Gene.of("head_depth", whole(1, 8), full=(4, whole(2, 4)), small=(1, whole(1, 2))),
    Gene.of("head_width", whole(8, 1024, 8), full=(256, whole(128, 256, 64)), small=(24, whole(16, 24, 8))),
)

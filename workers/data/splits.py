"""Names of splits, as folders, files, arrays and columns have them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

SplitName: TypeAlias = Literal["train", "validation", "test"]

_SPLITS: Final[Mapping[str, SplitName]] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "val": "validation",
        "valid": "validation",
        "validation": "validation",
        "test": "test",
        "testing": "test",
    }
)


def split_of(name: str) -> SplitName | None:
    """Return the split that a name means, in upper or lower case; None if it is the name of something else."""
    return _SPLITS.get(name.casefold())

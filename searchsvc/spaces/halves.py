"""Halves of a candidate: the architecture, which determines its costs, and the recipe that trains it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces import recipe

RECIPE = frozenset(name for table in recipe.TABLES.values() for name in table.defaults) - {"resolution"}
"""Parameters of the recipes of all tasks.

The resolution is an exception: every recipe table contains it, but FLOPs depend on it. The losses of a detector belong
to the recipe, although they determine the channels of its last convolutions.
"""


class Halves(NamedTuple):
    """A candidate split into architecture and recipe."""

    architecture: dict[str, Scalar]
    recipe: dict[str, Scalar]


def halves(values: Mapping[str, Scalar]) -> Halves:
    """Split values into the parameters of the recipe and all others."""
    architecture = {name: value for name, value in values.items() if name not in RECIPE}
    return Halves(architecture, {name: value for name, value in values.items() if name in RECIPE})

"""The two halves of a candidate: the architecture, which decides its costs, and the recipe that trains it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces import recipe

RECIPE = frozenset(name for table in recipe.TABLES.values() for name in table.defaults) - {"resolution"}
"""Parameters of the recipe of any task.

The resolution is in its table, as every network has one, but FLOPs depend on it. The losses of a detector belong to the
recipe, although they decide the channels of its last convolutions.
"""


class Halves(NamedTuple):
    """A candidate in two parts."""

    architecture: dict[str, Scalar]
    recipe: dict[str, Scalar]


def halves(values: Mapping[str, Scalar]) -> Halves:
    """The parameters of the recipe, and all others."""
    architecture = {name: value for name, value in values.items() if name not in RECIPE}
    return Halves(architecture, {name: value for name, value in values.items() if name in RECIPE})

"""Identity of FBNetV3 networks: widths are rounded, and genes of absent blocks have no effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces.costs.axes import Axis
from searchsvc.spaces.fbnetv3.definition import round8
from searchsvc.spaces.fbnetv3.space import EXPANSIONS, LIMITS
from searchsvc.spaces.space import Identity, Matrix, Space

_OTHERS = tuple(
    (stage, first, other)
    for stage, expansions in EXPANSIONS.items()
    for first, other in (expansions, (f"k{stage}", f"k{stage}b"))
)
"""Stage, gene of its first block, gene of its other blocks (0: equal to the first)."""


def identity(space: Space, defaults: Mapping[str, Scalar]) -> Identity:
    """Return the identity of the candidates of a space; `defaults` are values of parameters outside the space."""
    axes = {name: _rounded(Axis.of(space, name, defaults[name]), name) for name in LIMITS}
    others = [entry for entry in _OTHERS if entry[2] in space]
    searched = [name for name in LIMITS if name in space and name not in {other for _, _, other in others}]
    rest = [column for column, name in enumerate(space.names) if name not in LIMITS]

    def genes(matrix: Matrix) -> Iterator[Matrix]:
        """Yield columns (n,) or (1,) that determine the network."""
        values = {name: axis.decoded(matrix) for name, axis in axes.items()}
        yield from (values[name] for name in searched)
        for stage, first, other in others:
            present = np.sign(values[f"n{stage}"] - 1.0)  # 0 if the stage has only its first block
            yield present * np.where(values[other], values[other], values[first])

    def rows(matrix: Matrix) -> Matrix:
        columns = [np.broadcast_to(column, len(matrix)) for column in genes(matrix)]  # (n,) each
        return np.column_stack([*columns, matrix[:, rest]])

    return rows


def _rounded(axis: Axis, name: str) -> Axis:
    """Return the axis with widths rounded as in the network."""
    if not name.startswith("c"):
        return axis
    return replace(axis, values=np.array([float(round8(width)) for width in axis.values]))

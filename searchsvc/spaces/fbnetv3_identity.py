"""Which FBNetV3 candidates are the same network: widths are rounded, genes of blocks that are not there say nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces.axes import Axis
from searchsvc.spaces.definition import round8
from searchsvc.spaces.fbnetv3 import EXPANSIONS, LIMITS, STAGES
from searchsvc.spaces.space import Identity, Matrix, Space

_WIDTHS = {f"c{stage}" for stage in (0, *STAGES)}
_OTHERS = {name for _, name in EXPANSIONS.values()} | {f"k{stage}b" for stage in EXPANSIONS}
"""Genes of all but the first block of a stage."""


def identity(space: Space, defaults: Mapping[str, Scalar]) -> Identity:
    """Of candidates of a space; `defaults` are the values of what it does not give."""
    axes = {name: Axis.of(space, name, defaults[name]) for name in LIMITS}
    rest = [column for column, name in enumerate(space.names) if name not in LIMITS]

    def rows(matrix: Matrix) -> Matrix:
        values = {name: axis.decoded(matrix) for name, axis in axes.items()}
        genes = [np.broadcast_to(column, len(matrix)) for column in _effective(values)]
        return np.column_stack([*genes, matrix[:, rest]])

    return rows


def _effective(values: Mapping[str, Matrix]) -> Iterator[Matrix]:
    """Columns that decide the network, each (n,) or (1,)."""
    yield from (column for name, column in values.items() if name not in _OTHERS and name not in _WIDTHS)
    for name in sorted(_WIDTHS):
        widths, inverse = np.unique(values[name], return_inverse=True)
        yield np.array([float(round8(width)) for width in widths])[inverse]
    for stage, (first, other) in EXPANSIONS.items():
        there = np.sign(values[f"n{stage}"] - 1.0)  # 0 where the stage has only its first block
        yield there * np.where(values[other], values[other], values[first])
        yield there * np.where(values[f"k{stage}b"], values[f"k{stage}b"], values[f"k{stage}"])

"""FLOPs and parameters of whole matrices of FBNetV3 candidates, exact, without building a network.

A network is cut into parts (stem with stage 1, stages 2 to 6, stage 7 with the head), whose costs depend on few genes
each. They are computed once for every combination, as tables; a candidate's cost is then one gather per part. Where
a space is so wide that a table would be large, the part is computed anew for every matrix.

| symbol | meaning |
|---|---|
| i, m, o, q | input, expanded (mid), output and squeezed channels of a block |
| k | kernel of the depthwise convolution |
| P, Q | pixels of a block's input and output |

A complex number holds both costs of a part, FLOPs + params * 1j: whole numbers below 2**53, so their sums are exact,
and one gather fetches both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.parameters import Scalar
from searchsvc.domain.tasks import DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.spaces.axes import Axis
from searchsvc.spaces.fbnetv3 import EXPANSIONS, SQUEEZED, STAGES, TRIMMED, Family
from searchsvc.spaces.resolution import RESOLUTION
from searchsvc.spaces.space import CostModel, Matrix, Space

_ROWS = 8192
"""Candidates at a time: what is computed of them stays in the cache of a core."""
_LARGEST_TABLE = 2**21

_Array: TypeAlias = NDArray[Any]
"""Floats, or complex costs, of any shape that broadcasts."""
_Values: TypeAlias = Mapping[str, _Array]


def cost_model(family: Family) -> Callable[[Space, DatasetInfo, Mapping[str, Scalar]], CostModel]:
    """The cost model of a family for a space, a dataset, and values of what the space does not give.

    It raises InvalidInput where the maps of some candidate vanish.
    """

    def bound(space: Space, info: DatasetInfo, defaults: Mapping[str, Scalar]) -> CostModel:
        counter = _Counter(family, info.shape, len(info.classes))
        axes = {name: Axis.of(space, name, defaults[name]) for name in (*family.defaults, RESOLUTION)}
        counter.check_maps({name: axis.values for name, axis in axes.items()})
        parts = [_Part.of(names, costs, axes) for names, costs in counter.parts()]
        return _Gather(space, axes, parts)

    return bound


class _Counter:
    """Costs of the parts of a network as functions of arrays of genes."""

    def __init__(self, family: Family, shape: tuple[int, int, int], classes: int) -> None:
        self._family, self._shape, self._classes = family, shape, classes

    def parts(self) -> list[tuple[tuple[str, ...], Callable[[_Values], _Array]]]:
        """(names of the genes that matter, costs from their values) of every part."""
        middle = [(self._names(stage), self._stage(stage)) for stage in STAGES[1:-1]]
        return [
            (("c0", "c1", "k1", "n1", RESOLUTION), self._beginning),
            *middle,
            (("c6", "c7", "k7", "trim4", "trim6", RESOLUTION), self._end),
        ]

    def check_maps(self, values: _Values) -> None:
        """Raise InvalidInput where a map of some candidate has no pixel left."""
        sides = np.unique(values[RESOLUTION])
        trims = {f"trim{stage}": np.ones((), dtype=bool) & values[f"trim{stage}"].any() for stage in TRIMMED}
        pixels = self._pixels(STAGES[-1], {RESOLUTION: sides, **trims})
        if (pixels < 1).any():
            raise InvalidInput.at("", "with trim4 or trim6 nothing is left of the maps of images this small")

    def _names(self, stage: int) -> tuple[str, ...]:
        first, other = EXPANSIONS[stage]
        trims = tuple(f"trim{one}" for one in TRIMMED if one <= stage)
        genes = (f"c{stage - 1}", f"c{stage}", f"k{stage}", f"k{stage}b", first, other, f"n{stage}")
        return (*genes, *trims, RESOLUTION)

    def _beginning(self, values: _Values) -> _Array:
        """Stem and stage 1."""
        c0, P = _round8(values["c0"]), self._pixels(0, values)
        stem = _complex(9.0 * self._shape[0] * c0 * P, 9.0 * self._shape[0] * c0 + 2.0 * c0)
        one = np.ones(())
        return stem + self._group(1, values, (one, one), values["k1"], values["n1"])

    def _stage(self, stage: int) -> Callable[[_Values], _Array]:
        first, other = EXPANSIONS[stage]

        def costs(values: _Values) -> _Array:
            a, b = values[first], values[other]
            others = values[f"k{stage}b"]
            kernel = np.where(others, others, values[f"k{stage}"])
            return self._group(stage, values, (a, np.where(b, b, a)), kernel, values[f"n{stage}"])

        return costs

    def _end(self, values: _Values) -> _Array:
        """Stage 7, head and classifier."""
        family, Q = self._family, self._pixels(7, values)
        one, e = np.ones(()), np.array(float(family.last_expansion))
        o = _round8(values["c7"])
        m = _round8(o * family.pool_expansion)
        after = m * family.pool_width + float(family.pool_width * self._classes)
        head = _complex(o * m * Q + after, o * m + 2.0 * m + after + float(self._classes))
        return self._group(7, values, (e, e), values["k7"], one) + head

    def _group(
        self, stage: int, values: _Values, expansions: tuple[_Array, _Array], kernel: _Array, blocks: _Array
    ) -> _Array:
        """All blocks of a stage; `kernel` is that of all but the first."""
        i, o = _round8(values[f"c{stage - 1}"]), _round8(values[f"c{stage}"])
        P, Q, se = self._pixels(stage - 1, values), self._pixels(stage, values), stage in SQUEEZED
        first = _block(i, o, values[f"k{stage}"], expansions[0], se, P, Q)
        return first + (blocks - 1.0) * _block(o, o, kernel, expansions[1], se, Q, Q)

    def _pixels(self, stage: int, values: _Values) -> _Array:
        """Of the map after a stage (0: the stem); 0 where it has vanished."""
        sides = [np.where(values[RESOLUTION], values[RESOLUTION], float(side)) for side in self._shape[1:]]
        smaller = np.minimum(*sides)
        for one in range(stage + 1):
            stride = np.where(smaller >= self._family.halved_from.get(one, math.inf), 2.0, 1.0)
            trim = 2.0 * values[f"trim{one}"] if one in TRIMMED else 0.0
            sides = [np.maximum(0.0, np.floor((side - 1.0 - trim) / stride) + 1.0) for side in sides]
        return sides[0] * sides[1]


def _block(i: _Array, o: _Array, k: _Array, e: _Array, se: bool, P: _Array, Q: _Array) -> _Array:
    """Costs of one block."""
    m = _round8(i * e)
    expands = m != i
    im, rest = expands * i * m, m * (k * k + o)
    q = _round8(np.floor(m * 0.25 / e)) if se else np.zeros(())
    flops = im * P + rest * Q + 2.0 * m * q
    params = im + rest + 2.0 * (m * (1.0 + expands) + o) + se * (2.0 * m * q + q + m)
    return _complex(flops, params)


def _round8(channels: _Array) -> _Array:
    """As `searchsvc.spaces.definition.round8`."""
    rounded = np.maximum(8.0, np.floor((channels + 4.0) / 8.0) * 8.0)
    result: _Array = rounded + 8.0 * (rounded < 0.95 * channels)
    return result


def _complex(flops: _Array, params: _Array) -> _Array:
    result: _Array = flops + 1j * params
    return result


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the network: the genes that decide its costs, and the costs of all their combinations."""

    names: tuple[str, ...]
    costs: Callable[[_Values], _Array]
    table: _Array | None
    """(product of the lengths of the axes,) complex; None where that would be too many."""

    @classmethod
    def of(cls, names: tuple[str, ...], costs: Callable[[_Values], _Array], axes: Mapping[str, Axis]) -> Self:
        lengths = [len(axes[name].values) for name in names]
        if math.prod(lengths) > _LARGEST_TABLE:
            return cls(names, costs, None)
        grid = dict(zip(names, np.ix_(*(axes[name].values for name in names)), strict=True))
        return cls(names, costs, np.broadcast_to(costs(grid), lengths).ravel())


class _Gather:
    """The cost model: (n, d) matrix -> {"flops": (n,), "params": (n,)}."""

    def __init__(self, space: Space, axes: Mapping[str, Axis], parts: Sequence[_Part]) -> None:
        self._axes, self._parts = axes, parts
        self._tabled = [part for part in parts if part.table is not None]
        self._columns = [axis.column for axis in axes.values() if axis.column is not None]
        self._missing = np.array([axis.missing for axis in axes.values() if axis.column is not None])
        self._conditional = any(parameter.when for parameter in space.parameters)
        self._weights, self._offset = self._strides(len(space))

    def __call__(self, matrix: Matrix) -> Mapping[str, Matrix]:
        total = np.empty(len(matrix), complex)
        for start in range(0, len(matrix), _ROWS):
            rows = slice(start, start + _ROWS)
            total[rows] = self._costs(matrix[rows])
        return {"flops": total.real.copy(), "params": total.imag.copy()}

    def _costs(self, rows: Matrix) -> _Array:
        """(r,) complex from (r, d)."""
        if self._conditional:
            rows = self._filled(rows)
        # Every index is a sum over the genes of a part, so one product of matrices gives all of them: (parts, r).
        index = np.rint(self._weights @ rows.T + self._offset).astype(np.intp)
        total = np.zeros(len(rows), complex)
        for part, chosen in zip(self._tabled, index, strict=True):
            assert part.table is not None
            total += part.table[chosen]
        for part in self._parts:
            if part.table is None:
                total += part.costs({name: self._axes[name].decoded(rows) for name in part.names})
        return total

    def _filled(self, rows: Matrix) -> Matrix:
        """(r, d): where a gene is not active, the entry of its default; everything else that is not active is 0."""
        filled = np.zeros_like(rows)
        genes = rows[:, self._columns]
        filled[:, self._columns] = np.where(np.isnan(genes), self._missing, genes)
        return filled

    def _strides(self, width: int) -> tuple[Matrix, Matrix]:
        """(parts, d) and (parts, 1): index into a part's table = weights * row + offset."""
        weights, offset = np.zeros((len(self._tabled), width)), np.zeros((len(self._tabled), 1))
        for row, part in enumerate(self._tabled):
            stride = 1.0
            for axis in reversed([self._axes[name] for name in part.names]):
                if axis.column is not None:
                    weights[row, axis.column] += stride / axis.step
                    offset[row] -= stride * axis.low / axis.step
                stride *= len(axis.values)
        return weights, offset

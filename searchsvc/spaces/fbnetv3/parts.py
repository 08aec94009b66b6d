"""Parts of FBNetV3 networks: stem with stage 1, stages 2 to 6, stage 7 with the head.

The costs of a part depend on few genes. `prices` returns the costs of an operator: its FLOPs and parameters, or its
latency.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from searchsvc.errors import InvalidInput
from searchsvc.spaces.costs.gathers import Array, CostPart, Values
from searchsvc.spaces.costs.operators import Layer
from searchsvc.spaces.fbnetv3.space import EXPANSIONS, SQUEEZED, STAGES, TRIMMED, FbnetV3Family
from searchsvc.spaces.resolution import RESOLUTION

Prices: TypeAlias = Callable[[Layer], Array]
"""Map from a layer to its costs, with the common shape of its fields."""

_ZERO, _ONE = np.zeros(()), np.ones(())


@dataclass(frozen=True, slots=True)
class Piece:
    """Equal consecutive layers of a stage (0: the stem, 8: the head)."""

    stage: int
    layer: Layer
    count: Array


Cut: TypeAlias = Callable[[Values], Sequence[Piece]]
"""Map from the values of a part's genes to its pieces, from the image on."""


def genes(family: FbnetV3Family) -> tuple[str, ...]:
    """Return the names of all parameters that determine a network of a family."""
    return (*family.defaults, RESOLUTION)


def parts(family: FbnetV3Family, shape: tuple[int, int, int], prices: Prices) -> list[CostPart]:
    """Return the parts for images of `shape` (channels, height, width); a resolution replaces the sides."""

    def priced(cut: Cut) -> Callable[[Values], Array]:
        return lambda values: sum((piece.count * prices(piece.layer) for piece in cut(values)), _ZERO)

    return [CostPart(names, priced(cut)) for names, cut in cuts(family, shape)]


def cuts(family: FbnetV3Family, shape: tuple[int, int, int]) -> list[tuple[tuple[str, ...], Cut]]:
    """Return (genes, pieces) for each part; parts and shape as in `parts`."""
    cut = _Cutter(family, shape)
    return [
        (("c0", "c1", "k1", "n1", RESOLUTION), cut.beginning),
        *((_names(stage), cut.stage(stage)) for stage in STAGES[1:-1]),
        (("c6", "c7", "k7", "trim4", "trim6", RESOLUTION), cut.end),
    ]


def check_maps(family: FbnetV3Family, shape: tuple[int, int, int], values: Values) -> None:
    """Raise InvalidInput if a map of a candidate with genes among `values` has no pixels left."""
    trims = {f"trim{stage}": np.ones((), dtype=bool) & values[f"trim{stage}"].any() for stage in TRIMMED}
    smallest = sides_after(family, shape, STAGES[-1], {RESOLUTION: np.unique(values[RESOLUTION]), **trims})
    if (np.minimum(*smallest) < 1).any():
        raise InvalidInput.at("", "with trim4 or trim6, no pixels are left of the maps of images this small")


def sides_after(family: FbnetV3Family, shape: tuple[int, int, int], stage: int, values: Values) -> tuple[Array, Array]:
    """Return the (height, width) of the map after a stage (0: the stem); 0 if it has vanished."""
    sides = input_sides(shape, values)
    smaller = np.minimum(*sides)
    for number in range(stage + 1):
        trim = 2.0 * values[f"trim{number}"] if number in TRIMMED else 0.0
        stride = _stride(family, number, smaller)
        height, width = (np.maximum(0.0, np.floor((side - 1.0 - trim) / stride) + 1.0) for side in sides)
        sides = height, width
    return sides


def input_sides(shape: tuple[int, int, int], values: Values) -> tuple[Array, Array]:
    """Return the (height, width) of images as the network receives them."""
    height, width = (np.where(values[RESOLUTION], values[RESOLUTION], float(side)) for side in shape[1:])
    return height, width


def round8(channels: Array) -> Array:
    """Round arrays of channels as `searchsvc.spaces.fbnetv3.definition.round8` does."""
    rounded = np.maximum(8.0, np.floor((channels + 4.0) / 8.0) * 8.0)
    result: Array = rounded + 8.0 * (rounded < 0.95 * channels)
    return result


class _Cutter:
    """The pieces of each part, as functions of arrays of genes."""

    def __init__(self, family: FbnetV3Family, shape: tuple[int, int, int]) -> None:
        self._family, self._shape = family, shape

    def beginning(self, values: Values) -> list[Piece]:
        """Return the pieces of the stem and stage 1."""
        height, width = input_sides(self._shape, values)
        stem = Layer(
            "stem",
            inputs=np.array(float(self._shape[0])),
            mid=_ZERO,
            outputs=round8(values["c0"]),
            kernel=np.array(3.0),
            stride=self._strides(0, values),
            pad=_ONE,
            squeeze=_ZERO,
            height=height,
            width=width,
        )
        return [Piece(0, stem, _ONE), *self._group(1, values, (_ONE, _ONE), values["k1"], values["n1"])]

    def stage(self, stage: int) -> Cut:
        """Return the function that lists the pieces of a stage from 2 to 6."""
        first, other = EXPANSIONS[stage]

        def pieces(values: Values) -> list[Piece]:
            a, b = values[first], values[other]
            others = values[f"k{stage}b"]
            kernel = np.where(others, others, values[f"k{stage}"])
            return self._group(stage, values, (a, np.where(b, b, a)), kernel, values[f"n{stage}"])

        return pieces

    def end(self, values: Values) -> list[Piece]:
        """Return the pieces of stage 7, head and classifier."""
        family, outputs = self._family, round8(values["c7"])
        height, width = sides_after(family, self._shape, 7, values)
        head = Layer(
            "head",
            inputs=outputs,
            mid=round8(outputs * family.pool_expansion),
            outputs=np.array(float(family.pool_width)),
            kernel=_ONE,
            stride=_ONE,
            pad=_ZERO,
            squeeze=_ZERO,
            height=height,
            width=width,
        )
        e = np.array(float(family.last_expansion))
        return [*self._group(7, values, (e, e), values["k7"], _ONE), Piece(8, head, _ONE)]

    def _group(
        self, stage: int, values: Values, expansions: tuple[Array, Array], kernel: Array, blocks: Array
    ) -> list[Piece]:
        """Return the first block of a stage and the other blocks, which have the kernel `kernel`."""
        inputs, outputs = round8(values[f"c{stage - 1}"]), round8(values[f"c{stage}"])
        before, after = (sides_after(self._family, self._shape, number, values) for number in (stage - 1, stage))
        trim = values[f"trim{stage}"] if stage in TRIMMED else _ZERO
        strides = self._strides(stage, values)
        squeezed = stage in SQUEEZED
        first = _block(inputs, outputs, values[f"k{stage}"], expansions[0], squeezed, strides, trim, before)
        other = _block(outputs, outputs, kernel, expansions[1], squeezed, _ONE, _ZERO, after)
        return [Piece(stage, first, _ONE), Piece(stage, other, blocks - 1.0)]

    def _strides(self, stage: int, values: Values) -> Array:
        return _stride(self._family, stage, np.minimum(*input_sides(self._shape, values)))


def _block(
    inputs: Array,
    outputs: Array,
    kernel: Array,
    expansion: Array,
    squeezed: bool,
    stride: Array,
    trim: Array,
    side: tuple[Array, Array],
) -> Layer:
    mid = round8(inputs * expansion)
    return Layer(
        "block",
        inputs=inputs,
        mid=mid,
        outputs=outputs,
        kernel=kernel,
        stride=stride,
        pad=(kernel - 1.0) / 2.0 - trim,
        squeeze=round8(np.floor(mid * 0.25 / expansion)) if squeezed else _ZERO,
        height=side[0],
        width=side[1],
    )


def _names(stage: int) -> tuple[str, ...]:
    """Return the genes that determine a stage."""
    first, other = EXPANSIONS[stage]
    trims = tuple(f"trim{trimmed}" for trimmed in TRIMMED if trimmed <= stage)
    widths = (f"c{stage - 1}", f"c{stage}", f"k{stage}", f"k{stage}b", first, other, f"n{stage}")
    return (*widths, *trims, RESOLUTION)


def _stride(family: FbnetV3Family, stage: int, side: Array) -> Array:
    return np.where(side >= family.halved_from.get(stage, math.inf), 2.0, 1.0)

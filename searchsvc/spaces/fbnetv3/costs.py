"""FLOPs, parameters and latency of whole matrices of FBNetV3 candidates, without building a network.

FLOPs and parameters are exact. A complex number holds both, FLOPs + params * 1j. They are whole numbers below 2**53, so
their sums are exact, and a single gather fetches both. The latency is the sum of the measured times of the network's
operators from a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from searchsvc.domain.parameters import Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.spaces.costs.axes import Axis
from searchsvc.spaces.costs.gathers import Array, Gather
from searchsvc.spaces.costs.latency import LATENCY, LatencyTable
from searchsvc.spaces.costs.model import COUNTED, FLOPS, PARAMS, CostModel
from searchsvc.spaces.costs.operators import Layer, Operator
from searchsvc.spaces.fbnetv3 import parts as fbnetv3_parts
from searchsvc.spaces.fbnetv3.space import FbnetV3Family
from searchsvc.spaces.space import Matrix, Space

Defaults: TypeAlias = Mapping[str, Scalar]
"""Values of parameters outside the space."""


def cost_model(family: FbnetV3Family) -> Callable[[Space, DatasetInfo, Defaults], CostModel]:
    """Return the factory of the FLOPs and parameters of a space. It raises InvalidInput if any map vanishes."""

    def bound(space: Space, info: DatasetInfo, defaults: Defaults) -> CostModel:
        axes = _axes(family, space, info, defaults)
        sums = Gather(
            space, axes, fbnetv3_parts.parts(family, info.shape, flops_and_params(len(info.classes))), complex
        )

        def costs(matrix: Matrix) -> Mapping[str, Matrix]:
            total = sums(matrix)  # (n,) complex
            return {FLOPS: total.real.copy(), PARAMS: total.imag.copy()}

        return CostModel(COUNTED, costs)

    return bound


def latency_model(family: FbnetV3Family) -> Callable[[Space, DatasetInfo, Defaults, LatencyTable], CostModel]:
    """Return the factory of the latency of a space, in milliseconds.

    It raises InvalidInput if a candidate has an operator that the table lacks.
    """

    def bound(space: Space, info: DatasetInfo, defaults: Defaults, table: LatencyTable) -> CostModel:
        axes = _axes(family, space, info, defaults)
        sums = Gather(space, axes, fbnetv3_parts.parts(family, info.shape, table.prices), float)
        return CostModel((LATENCY,), lambda matrix: {LATENCY: table.scale * sums(matrix)})

    return bound


def operators_of(family: FbnetV3Family) -> Callable[[Space, DatasetInfo, Defaults], list[Operator]]:
    """Return a function that lists all distinct operators of a space in a fixed order."""

    def listed(space: Space, info: DatasetInfo, defaults: Defaults) -> list[Operator]:
        axes, operators = _axes(family, space, info, defaults), set[Operator]()

        def collect(layer: Layer) -> Array:
            operators.update(layer.unique()[0])
            return np.zeros(())

        for part in fbnetv3_parts.parts(family, info.shape, collect):
            part.costs(part.grid(axes))
        return sorted(operators)

    return listed


def _axes(family: FbnetV3Family, space: Space, info: DatasetInfo, defaults: Defaults) -> dict[str, Axis]:
    axes = {name: Axis.of(space, name, defaults[name]) for name in fbnetv3_parts.genes(family)}
    fbnetv3_parts.check_maps(family, info.shape, {name: axis.values for name, axis in axes.items()})
    return axes


def flops_and_params(classes: int) -> fbnetv3_parts.Prices:
    """Return prices of layers: FLOPs + params * 1j.

    | symbol | meaning |
    |---|---|
    | i, m, o, q | input, expanded (mid), output and squeezed channels |
    | k | kernel of the (depthwise) convolution |
    | P, Q | pixels of input and output |
    """

    def prices(layer: Layer) -> Array:
        i, m, o, k, q = layer.inputs, layer.mid, layer.outputs, layer.kernel, layer.squeeze
        P, Q = layer.before, layer.after
        if layer.kind == "stem":
            weights = k * k * i * o
            return _complex(weights * Q, weights + 2.0 * o)
        if layer.kind == "head":
            after = m * o + o * float(classes)
            return _complex(i * m * P + after, i * m + 2.0 * m + after + float(classes))
        expands = m != i
        im, rest = expands * i * m, m * (k * k + o)
        flops = im * P + rest * Q + 2.0 * m * q
        params = im + rest + 2.0 * (m * (1.0 + expands) + o) + 2.0 * m * q + q + (q > 0) * m
        return _complex(flops, params)

    return prices


def _complex(flops: Array, params: Array) -> Array:
    result: Array = flops + 1j * params
    return result

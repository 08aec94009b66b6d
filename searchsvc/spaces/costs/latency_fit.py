"""Times of operators that were not measured, fitted to the measured operators.

| symbol | meaning |
|---|---|
| i, m, o, q | input, expanded (mid), output and squeezed channels |
| k | kernel of the (depthwise) convolution |
| P, Q | pixels of input and output |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.spatial import KDTree

from searchsvc.errors import InvalidInput
from searchsvc.spaces.costs.operators import Layer, Operator
from searchsvc.spaces.space import Matrix

_NEIGHBOURS = 4
_APART = 10.0
"""Distance between different kernels, strides, ...: such neighbours count only in the absence of equal neighbours."""


def fitted(measured: Mapping[Operator, float], missing: Iterable[Operator]) -> dict[Operator, float]:
    """Return the milliseconds of operators that were not measured.

    A fit for each kind and kernel gives a weighted sum of their work, with coefficients of 0 or more, by least squares
    of relative errors. The deviations of the nearest measured operators from that sum then correct it. Raises
    InvalidInput if no operator of a kind was measured.
    """
    times = dict.fromkeys(missing, 0.0)
    for kind, kernel in sorted({(operator.kind, operator.kernel) for operator in times}):
        group = [operator for operator in times if (operator.kind, operator.kernel) == (kind, kernel)]
        same_kind = [operator for operator in measured if operator.kind == kind]
        references = [operator for operator in same_kind if operator.kernel == kernel] or same_kind
        if not references:
            raise InvalidInput.at("/seconds", f"no {kind} was measured in the time given: allow more")
        estimates = _estimated(references, np.array([measured[operator] for operator in references]), group)
        times.update(zip(group, estimates.tolist(), strict=True))
    return times


def _estimated(measured: list[Operator], times: Matrix, missing: list[Operator]) -> Matrix:
    """Return the milliseconds (w,) of the `missing` operators from the `times` (k,) of the measured operators."""
    work = _work(measured)  # (k, 7)
    unit = np.maximum(work.max(axis=0), 1.0)
    coefficients, _ = nnls(work / unit / times[:, None], np.ones(len(measured)))  # (7,)
    least = times.min() / 2.0  # positive, for the logarithm
    sums, missing_sums = (
        np.maximum(_work(operators) / unit @ coefficients, least) for operators in (measured, missing)
    )
    correction = _from_neighbours(_places(measured), np.log(times / sums), _places(missing))
    estimates: Matrix = missing_sums * np.exp(correction)
    return estimates


def _from_neighbours(points: Matrix, values: Matrix, queries: Matrix) -> Matrix:
    """Return means (w,) of `values` (k,) over the nearest of `points` (k, p) to each of `queries` (w, p).

    Nearer points have larger weights.
    """
    count = min(_NEIGHBOURS, len(points))
    distances, nearest = (array.reshape(len(queries), count) for array in KDTree(points).query(queries, k=count))
    weights = 1.0 / (distances + 0.05)  # (w, neighbours)
    means: Matrix = (weights * values[nearest]).sum(axis=1) / weights.sum(axis=1)
    return means


def _places(operators: list[Operator]) -> Matrix:
    """Return coordinates (n, p) of operators, with sizes on a logarithmic scale, so that distances are ratios."""
    layer = Layer.of(operators)
    # both (fields, n)
    sizes = np.log([layer.inputs, layer.mid + 1.0, layer.outputs, layer.height, layer.width])
    others = np.stack([layer.kernel, layer.stride, layer.pad, np.sign(layer.squeeze)]) * _APART
    places: Matrix = np.concatenate([sizes, others]).T
    return places


def _work(operators: list[Operator]) -> NDArray[np.float64]:
    """Return the work (n, 7) of operators: a column per kind (a call; multiply-adds; values read and written)."""
    layer = Layer.of(operators)
    i, m, o, k, q = layer.inputs, layer.mid, layer.outputs, layer.kernel, layer.squeeze
    P, Q, expands = layer.before, layer.after, layer.mid != layer.inputs
    terms = [np.ones_like(m), expands * i * m * P, m * k * k * Q, m * o * Q, m * P * expands + m * Q, o * Q + i * P]
    return np.stack([*terms, m * q + (q > 0) * m * Q], axis=1)

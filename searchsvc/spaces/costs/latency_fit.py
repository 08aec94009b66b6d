"""Times of operators that were not measured, from those that were.

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
"""Distance of other kernels, strides, ...: such neighbours count only where there are none alike."""


def fitted(measured: Mapping[Operator, float], missing: Iterable[Operator]) -> dict[Operator, float]:
    """Milliseconds of operators that were not measured.

    First a sum of their work with coefficients of 0 or more, found by least squares of relative errors for each kind
    and kernel; then corrected by how far the nearest measured operators are from that sum. Raises InvalidInput where
    nothing of a kind was measured.
    """
    times = dict.fromkeys(missing, 0.0)
    for kind, kernel in sorted({(one.kind, one.kernel) for one in times}):
        wanted = [one for one in times if (one.kind, one.kernel) == (kind, kernel)]
        alike = [one for one in measured if one.kind == kind]
        known = [one for one in alike if one.kernel == kernel] or alike
        if not known:
            raise InvalidInput.at("/seconds", f"no {kind} was measured in the time given: allow more")
        estimates = _estimated(known, np.array([measured[one] for one in known]), wanted)
        times.update(zip(wanted, estimates.tolist(), strict=True))
    return times


def _estimated(known: list[Operator], times: Matrix, wanted: list[Operator]) -> Matrix:
    """(w,) from (k,) milliseconds."""
    work = _work(known)
    unit = np.maximum(work.max(axis=0), 1.0)
    coefficients, _ = nnls(work / unit / times[:, None], np.ones(len(known)))
    least = times.min() / 2.0  # never 0
    sums, wanted_sums = (np.maximum(_work(each) / unit @ coefficients, least) for each in (known, wanted))
    correction = _from_neighbours(_places(known), np.log(times / sums), _places(wanted))
    estimates: Matrix = wanted_sums * np.exp(correction)
    return estimates


def _from_neighbours(known: Matrix, values: Matrix, wanted: Matrix) -> Matrix:
    """(w,) means of the values (k,) of the nearest of the places (k, p), the nearer the heavier."""
    count = min(_NEIGHBOURS, len(known))
    distances, nearest = (one.reshape(len(wanted), count) for one in KDTree(known).query(wanted, k=count))
    weights = 1.0 / (distances + 0.05)
    means: Matrix = (weights * values[nearest]).sum(axis=1) / weights.sum(axis=1)
    return means


def _places(operators: list[Operator]) -> Matrix:
    """(n, p): sizes on a logarithmic scale, so that distances are ratios."""
    layer = Layer.of(operators)
    sizes = np.log([layer.inputs, layer.mid + 1.0, layer.outputs, layer.height, layer.width])
    others = np.stack([layer.kernel, layer.stride, layer.pad, np.sign(layer.squeeze)]) * _APART
    places: Matrix = np.concatenate([sizes, others]).T
    return places


def _work(operators: list[Operator]) -> NDArray[np.float64]:
    """(n, 7): what takes time, each column one kind of work (a call; multiply-adds; values read and written)."""
    layer = Layer.of(operators)
    i, m, o, k, q = layer.inputs, layer.mid, layer.outputs, layer.kernel, layer.squeeze
    P, Q, expands = layer.before, layer.after, layer.mid != layer.inputs
    terms = [np.ones_like(m), expands * i * m * P, m * k * k * Q, m * o * Q, m * P * expands + m * Q, o * Q + i * P]
    return np.stack([*terms, m * q + (q > 0) * m * Q], axis=1)

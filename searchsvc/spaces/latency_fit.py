"""Times of operators that were not measured, from those that were.

| symbol | meaning |
|---|---|
| i, m, o, q | input, expanded (mid), output and squeezed channels |
| k | kernel of the (depthwise) convolution |
| P, Q | pixels of input and output |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput
from searchsvc.spaces.operators import Layer, Operator
from searchsvc.spaces.space import Matrix


def fitted(measured: Mapping[Operator, float], missing: Iterable[Operator]) -> dict[Operator, float]:
    """Milliseconds of operators that were not measured, from those that were.

    For each kind and each kernel, non-negative least squares of relative errors on the work of an operator. Where
    nothing of a kernel was measured, all kernels together serve. Raises InvalidInput where nothing of a kind was.
    """
    times = dict.fromkeys(missing, 0.0)
    for kind, kernel in sorted({(one.kind, one.kernel) for one in times}):
        wanted = [one for one in times if (one.kind, one.kernel) == (kind, kernel)]
        alike = [one for one in measured if one.kind == kind]
        known = [one for one in alike if one.kernel == kernel] or alike
        if not known:
            raise InvalidInput.at("/seconds", f"no {kind} was measured in the time given: allow more")
        estimates = _regressed(known, [measured[one] for one in known], wanted)
        times.update(zip(wanted, estimates.tolist(), strict=True))
    return times


def _regressed(known: list[Operator], milliseconds: Sequence[float], wanted: list[Operator]) -> Matrix:
    from scipy.optimize import nnls

    times, work = np.array(milliseconds), _work(known)
    unit = np.maximum(work.max(axis=0), 1.0)
    coefficients, _ = nnls(work / unit / times[:, None], np.ones(len(known)))
    estimates: Matrix = np.maximum(_work(wanted) / unit @ coefficients, times.min())
    return estimates


def _work(operators: list[Operator]) -> NDArray[np.float64]:
    """(n, 7): what takes time, each column one kind of work (a call; multiply-adds; values read and written)."""
    layer = Layer.of(operators)
    i, m, o, k, q = layer.inputs, layer.mid, layer.outputs, layer.kernel, layer.squeeze
    P, Q, expands = layer.before, layer.after, layer.mid != layer.inputs
    terms = [np.ones_like(m), expands * i * m * P, m * k * k * Q, m * o * Q, m * P * expands + m * Q, o * Q + i * P]
    return np.stack([*terms, m * q + (q > 0) * m * Q], axis=1)

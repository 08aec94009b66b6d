"""Sobol: a scrambled low-discrepancy sequence (Owen 1998; Joe and Kuo 2008), more even than chance."""

from __future__ import annotations

import numpy as np

from searchsvc.algorithms.base import BLOCK, Problem, Stream
from searchsvc.algorithms.options import MethodOptions
from searchsvc.spaces.space import Matrix

_BITS = 30
_LARGEST_DIMENSION = 21_201


class SobolOptions(MethodOptions):
    """The sequence has no options: its scrambling comes from the job's seed."""


def sobol(problem: Problem, options: SobolOptions) -> Stream:  # noqa: ARG001 - every factory takes both
    """Create a stream whose candidate i is point i of the sequence."""
    from scipy.stats import qmc  # late: scipy takes half a second to import

    dimensions = len(problem.space)
    # There are no direction numbers for more dimensions, and no space has as many.
    assert dimensions <= _LARGEST_DIMENSION, "a document holds at most 1,000 parameters"

    def sequence() -> qmc.Sobol:
        return qmc.Sobol(dimensions, scramble=True, bits=_BITS, rng=np.random.default_rng(problem.seed))

    engine, position = sequence(), 0

    def draw(block: int) -> Matrix:
        nonlocal engine, position
        first = block * BLOCK % 2**_BITS
        if first < position:
            engine, position = sequence(), 0
        if first > position:
            engine.fast_forward(first - position)
        position = first + BLOCK
        points: Matrix = engine.random(BLOCK)
        return points

    return Stream(problem, draw)

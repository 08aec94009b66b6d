"""Random search: independent uniform draws (Bergstra and Bengio 2012)."""

from __future__ import annotations

from searchsvc.algorithms.base import BLOCK, Problem, Stream, generator
from searchsvc.algorithms.options import MethodOptions


class RandomOptions(MethodOptions):
    """Random search has no options."""


def random_search(problem: Problem, options: RandomOptions) -> Stream:  # noqa: ARG001 - every factory takes both
    """Create a stream whose block b of 256 candidates is drawn from (seed, b)."""
    return Stream(problem, lambda block: generator(problem.seed, block).random((BLOCK, len(problem.space))))

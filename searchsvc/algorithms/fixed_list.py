"""A fixed list of candidates (`given` in a spec): each is trained in turn, then the search ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.hard_constraints import HardConstraints
from searchsvc.algorithms.options import MethodOptions
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.parameters import Scalar
from searchsvc.errors import Fault, InvalidInput


class FixedListOptions(MethodOptions):
    """What is trained."""

    candidates: list[dict[str, Scalar]] = Field(
        [], max_length=10_000, description="a value for every active parameter of the space, each"
    )


class FixedList:
    """Candidate i of the list is what ask number i + 1 gives."""

    replays_by_asking = False

    def __init__(self, problem: Problem, options: FixedListOptions) -> None:
        """Raises InvalidInput, pointers `/candidates/2/lr`, where a candidate is not one that the job may train."""
        given = [Candidate(values) for values in options.candidates]
        if not given:
            raise InvalidInput.at("/candidates", "name at least one candidate: {name: value, ...}")
        if faults := [*_outside(problem, given)]:
            raise InvalidInput(faults)
        matrix = problem.space.to_matrix(given)
        if faults := [*_infeasible(problem, matrix)]:
            raise InvalidInput(faults)
        self._candidates = problem.space.from_matrix(matrix)  # each value as the space has it: 1 as 1.0 of a float
        self._seed = problem.seed
        self._asks = 0

    @property
    def seed(self) -> int:
        return self._seed

    @property
    def asks(self) -> int:
        return self._asks

    def left(self) -> int:
        return len(self._candidates) - self._asks

    def ask(self, count: int) -> list[Candidate]:
        asked = self._candidates[self._asks : self._asks + count]
        self._asks += len(asked)
        return asked

    def tell(self, observations: Sequence[Observation]) -> None:
        """Nothing is learned."""

    def resume(self, candidate: Candidate, asks: int) -> None:  # noqa: ARG002 - the contract names it
        self._asks = max(self._asks, asks)


def _outside(problem: Problem, candidates: Sequence[Candidate]) -> Iterator[Fault]:
    for index, candidate in enumerate(candidates):
        for name, reason in problem.space.faults(candidate):
            yield Fault(f"/candidates/{index}/{name}", reason)


def _infeasible(problem: Problem, matrix: np.ndarray) -> Iterator[Fault]:
    judgement = HardConstraints(problem.cost_model, problem.hard).judge(matrix)
    for constraint, broken in zip(problem.hard, judgement.broken, strict=True):
        for index in np.flatnonzero(broken):
            found = float(judgement.costs[constraint.metric][index])
            yield Fault(f"/candidates/{index}", f"has {constraint.metric} {found:,.6g}: the job wants {constraint}")

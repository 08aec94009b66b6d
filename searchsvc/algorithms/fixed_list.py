"""A fixed list of candidates (`given` in a spec): each is trained in turn, then the search ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import ConfigDict, Field

from searchsvc.algorithms.base import Algorithm, Problem
from searchsvc.algorithms.hard_constraints import HardConstraints
from searchsvc.algorithms.options import MethodOptions
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.parameters import Scalar
from searchsvc.errors import Fault, InvalidInput, pointer


class FixedListOptions(MethodOptions):
    """Options of a fixed list."""

    model_config = ConfigDict(title="GivenOptions")  # as in the REST API

    candidates: list[dict[str, Scalar]] = Field(
        [], max_length=10_000, description="Candidates, each with a value for every active parameter of the space."
    )


class FixedList(Algorithm):
    """Candidate i of the list (0, 1, ...) is the candidate of ask number i + 1."""

    def __init__(self, problem: Problem, options: FixedListOptions) -> None:
        """Raises InvalidInput, with pointers such as `/candidates/2/lr`, if the job may not train a candidate."""
        super().__init__(problem)
        candidates = [Candidate(values) for values in options.candidates]
        if not candidates:
            raise InvalidInput.at("/candidates", "name at least one candidate: {name: value, ...}")
        if faults := [*_outside(problem, candidates)]:
            raise InvalidInput(faults)
        matrix = problem.space.to_matrix(candidates)
        if faults := [*_infeasible(problem, matrix)]:
            raise InvalidInput(faults)
        self._candidates = problem.space.from_matrix(matrix)  # values get the types of the space: 1 of a float is 1.0

    def tell(self, observations: Sequence[Observation]) -> None:
        """Ignore results: the algorithm does not learn."""

    def remaining(self) -> int:
        return len(self._candidates) - self._asks

    def _next(self, asks: int) -> Candidate | None:
        return self._candidates[asks - 1] if asks <= len(self._candidates) else None


def _outside(problem: Problem, candidates: Sequence[Candidate]) -> Iterator[Fault]:
    for index, candidate in enumerate(candidates):
        for name, reason in problem.space.faults(candidate):
            yield Fault(pointer("candidates", index, name), reason)


def _infeasible(problem: Problem, matrix: np.ndarray) -> Iterator[Fault]:
    judgement = HardConstraints(problem.cost_model, problem.hard).judge(matrix)
    for constraint, broken in zip(problem.hard, judgement.broken, strict=True):
        for index in np.flatnonzero(broken):
            cost = float(judgement.costs[constraint.metric][index])
            yield Fault(f"/candidates/{index}", f"has {constraint.metric} {cost:,.6g}: the job wants {constraint}")

"""A run of a search on a problem, recorded as two trajectories over its evaluations.

| trajectory | meaning |
|---|---|
| found | the best true value among the candidates evaluated so far: the quality of the search |
| chosen | the true value of the candidate with the best measurement so far: the result for a user who trusts it |

Values are signed so that larger is better.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from searchsvc.algorithms import create
from searchsvc.benchmarks.problems import BenchmarkProblem, Statement
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.proposing.proposer import Proposer


class Searcher(Protocol):
    """Interface of a search for the runner: our algorithms behind a Proposer, or another library."""

    def ask(self, count: int) -> Sequence[Candidate]:
        """Return up to `count` candidates within the limits; an empty sequence ends the search."""

    def tell(self, candidate: Candidate, metrics: Mapping[str, float]) -> None:
        """Report the result of a candidate from `ask`."""


class ProposerSearch:
    """An algorithm of the registry behind the Proposer, as in a job."""

    def __init__(self, name: str, statement: Statement, seed: int, options: Mapping[str, Any]) -> None:
        algorithm = create(
            name,
            space=statement.space,
            objectives=[statement.objective],
            constraints=statement.limits,
            cost_model=statement.cost_model,
            seed=seed,
            **options,
        )
        cost_model, limits = statement.cost_model, statement.limits
        self._proposer = Proposer(algorithm, statement.space, cost_model=cost_model, hard=limits)
        self._numbers: dict[Candidate, int] = {}

    def ask(self, count: int) -> Sequence[Candidate]:
        first = self._proposer.next_number
        candidates = [proposal.candidate for proposal in self._proposer.propose(count)]
        self._numbers |= {candidate: number for number, candidate in enumerate(candidates, first)}
        return candidates

    def tell(self, candidate: Candidate, metrics: Mapping[str, float]) -> None:
        self._proposer.tell(self._numbers.pop(candidate), Observation(candidate, metrics, step=1))


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A value that changes at some evaluations: pairs (evaluation, counted from 1; value from this evaluation on)."""

    steps: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Trajectory:
        """Return the trajectory of the values after each evaluation."""
        steps: list[tuple[int, float]] = []
        for evaluation, value in enumerate(values, 1):
            if not steps or value != steps[-1][1]:
                steps.append((evaluation, value))
        return cls(tuple(steps))

    def at(self, evaluation: int) -> float:
        """Return the value after `evaluation` evaluations."""
        return [value for begin, value in self.steps if begin <= evaluation][-1]

    def evaluations_to(self, target: float) -> float:
        """Return the first evaluation after which the value is `target` or better; infinity if the value never is."""
        return next((float(begin) for begin, value in self.steps if value >= target), math.inf)


@dataclass(frozen=True, slots=True)
class Search:
    """Trajectories of a search, and the time of its proposals."""

    found: Trajectory
    chosen: Trajectory
    seconds: float
    """Time in `ask` and `tell`, over all evaluations."""


def run_search(problem: BenchmarkProblem, searcher: Searcher, evaluations: int, batch: int = 1) -> Search:
    """Run a search for `evaluations` evaluations, or until it proposes nothing more.

    Each turn asks for `batch` candidates, evaluates all of them, and then reports all results.
    """
    objective = problem.statement.objective
    measured: list[float] = []
    truths: list[float] = []
    seconds = 0.0
    while len(measured) < evaluations:
        started = time.perf_counter()
        candidates = searcher.ask(min(batch, evaluations - len(measured)))
        seconds += time.perf_counter() - started
        if not candidates:
            break
        results = [problem.evaluate(candidate, number) for number, candidate in enumerate(candidates, len(measured))]
        measured += [objective.sign * metrics[objective.metric] for metrics in results]
        truths += [objective.sign * problem.truth(candidate) for candidate in candidates]
        started = time.perf_counter()
        for candidate, metrics in zip(candidates, results, strict=True):
            searcher.tell(candidate, metrics)
        seconds += time.perf_counter() - started
    return Search(Trajectory.of(np.maximum.accumulate(truths).tolist()), _chosen(measured, truths), seconds)


def _chosen(measured: Sequence[float], truths: Sequence[float]) -> Trajectory:
    """Return the true value of the best measured candidate after each evaluation; the earliest of equal candidates."""
    leaders = np.maximum.accumulate(measured)
    return Trajectory.of([truths[measured.index(leader)] for leader in leaders])

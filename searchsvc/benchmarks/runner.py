"""One search on one problem: what it had found after each evaluation, two ways.

| trajectory | meaning |
|---|---|
| found | the best truth among the candidates evaluated so far: how well the search looked |
| chosen | the truth of the candidate that looked best so far: what somebody who trusts one measurement takes home |

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
    """A search as the runner sees it: ours through a Proposer, or one of another library."""

    def ask(self, count: int) -> Sequence[Candidate]:
        """Up to `count` candidates within the limits; none: there is nothing more to propose."""

    def tell(self, candidate: Candidate, metrics: Mapping[str, float]) -> None:
        """The result of a candidate that was asked for."""


class ProposerSearch:
    """An algorithm of the table behind the Proposer, as a job runs it."""

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
        candidates = [one.candidate for one in self._proposer.propose(count)]
        self._numbers |= {candidate: number for number, candidate in enumerate(candidates, first)}
        return candidates

    def tell(self, candidate: Candidate, metrics: Mapping[str, float]) -> None:
        self._proposer.tell(self._numbers.pop(candidate), Observation(candidate, metrics, step=1))


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A value that changes at some evaluations: (evaluation from 1, value from there on)."""

    steps: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Trajectory:
        """From the value after each evaluation."""
        steps: list[tuple[int, float]] = []
        for evaluation, value in enumerate(values, 1):
            if not steps or value != steps[-1][1]:
                steps.append((evaluation, value))
        return cls(tuple(steps))

    def at(self, evaluation: int) -> float:
        """The value after so many evaluations."""
        return [value for begin, value in self.steps if begin <= evaluation][-1]

    def evaluations_to(self, target: float) -> float:
        """The first evaluation after which the value is `target` or better; infinite where it never was."""
        return next((float(begin) for begin, value in self.steps if value >= target), math.inf)


@dataclass(frozen=True, slots=True)
class Search:
    """What one search found, and what its proposals cost."""

    found: Trajectory
    chosen: Trajectory
    seconds: float
    """In asking and telling, over all evaluations."""


def run_search(problem: BenchmarkProblem, searcher: Searcher, evaluations: int, batch: int = 1) -> Search:
    """Ask for `batch` candidates, evaluate all, tell all, until `evaluations` are done or nothing more is proposed."""
    objective = problem.statement.objective
    seen: list[float] = []
    truths: list[float] = []
    seconds = 0.0
    while len(seen) < evaluations:
        started = time.perf_counter()
        candidates = searcher.ask(min(batch, evaluations - len(seen)))
        seconds += time.perf_counter() - started
        if not candidates:
            break
        results = [problem.evaluate(one, number) for number, one in enumerate(candidates, len(seen))]
        seen += [objective.sign * metrics[objective.metric] for metrics in results]
        truths += [objective.sign * problem.truth(one) for one in candidates]
        started = time.perf_counter()
        for candidate, metrics in zip(candidates, results, strict=True):
            searcher.tell(candidate, metrics)
        seconds += time.perf_counter() - started
    return Search(Trajectory.of(np.maximum.accumulate(truths).tolist()), _chosen(seen, truths), seconds)


def _chosen(seen: Sequence[float], truths: Sequence[float]) -> Trajectory:
    """The truth of the candidate that looked best after each evaluation, the earliest among equals."""
    leaders = np.maximum.accumulate(seen)
    return Trajectory.of([truths[seen.index(leader)] for leader in leaders])

"""Algorithms side by side: how many evaluations each needs to reach what the reference reaches, over seeds.

The mark of a problem is the median over seeds of what the reference (TPE, one at a time) has after `MARK` evaluations.
The share of a search is the number of evaluations after which it reached the mark, divided by `MARK`: 0.25 is four
times as fast as the reference, infinity says that it never did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from searchsvc.benchmarks.runner import Search, Trajectory
from searchsvc.domain.metrics import Objective

REFERENCE = "tpe"
MARK = 100
REGRETS_AT = (25, 50, 100)

Judged = Literal["found", "chosen"]


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """Which search it was."""

    problem: str
    algorithm: str
    batch: int
    seed: int
    evaluations: int


@dataclass(frozen=True, slots=True)
class ProblemFacts:
    """What is needed to read the runs of a problem without its table."""

    objective: Objective
    optimum: float


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Of values of which some may be infinite."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quartiles:
        """Each the middle of the two values next to it: interpolation would make NaN of infinity."""
        below, above = (np.quantile(values, (0.25, 0.5, 0.75), method=method) for method in ("lower", "higher"))
        low, median, high = ((below + above) / 2).tolist()
        return cls(low, median, high)


@dataclass(frozen=True, slots=True)
class Score:
    """One algorithm on one problem, over seeds."""

    problem: str
    algorithm: str
    batch: int
    seeds: int
    found: Quartiles
    """Shares of the mark that the found candidates need."""
    chosen: Quartiles
    """The same for the chosen ones."""
    regrets: Mapping[int, float]
    """Evaluations -> median distance of the found from the optimum."""
    chosen_regrets: Mapping[int, float]
    seconds_per_evaluation: float
    """Median."""


def targets(runs: Mapping[RunKey, Search], problem: str, mark: int = MARK) -> Mapping[Judged, float]:
    """What the reference reaches at the mark (signed, larger is better), median over its seeds."""
    reference = [
        run for key, run in runs.items() if (key.problem, key.algorithm, key.batch) == (problem, REFERENCE, 1)
    ]
    return {by: float(np.median([trajectory(run, by).at(mark) for run in reference])) for by in ("found", "chosen")}


def scores(facts: Mapping[str, ProblemFacts], runs: Mapping[RunKey, Search], mark: int = MARK) -> list[Score]:
    """One per problem, algorithm and size of batch, in this order, of the problems that the reference has run on."""
    known = {key.problem for key in runs if key.algorithm == REFERENCE and key.batch == 1}
    marks = {problem: targets(runs, problem, mark) for problem in known}
    ordered = sorted(key for key in runs if key.problem in known)
    groups = groupby(ordered, key=lambda key: (key.problem, key.algorithm, key.batch))
    return [
        _score(facts[problem], marks[problem], mark, [(key, runs[key]) for key in keys])
        for (problem, _, _), keys in groups
    ]


def trajectory(run: Search, by: Judged) -> Trajectory:
    return run.found if by == "found" else run.chosen


def _score(
    facts: ProblemFacts, goals: Mapping[Judged, float], mark: int, runs: Sequence[tuple[RunKey, Search]]
) -> Score:
    key = runs[0][0]
    searches = [run for _, run in runs]
    return Score(
        key.problem,
        key.algorithm,
        key.batch,
        len(runs),
        _shares([run.found for run in searches], goals["found"], mark),
        _shares([run.chosen for run in searches], goals["chosen"], mark),
        _regrets(facts, [run.found for run in searches], key.evaluations),
        _regrets(facts, [run.chosen for run in searches], key.evaluations),
        float(np.median([run.seconds for run in searches])) / key.evaluations,
    )


def _shares(trajectories: Iterable[Trajectory], target: float, mark: int) -> Quartiles:
    return Quartiles.of([one.evaluations_to(target) / mark for one in trajectories])


def _regrets(facts: ProblemFacts, trajectories: Sequence[Trajectory], evaluations: int) -> dict[int, float]:
    best = facts.objective.sign * facts.optimum
    return {
        at: float(np.median([best - one.at(at) for one in trajectories])) for at in REGRETS_AT if at <= evaluations
    }

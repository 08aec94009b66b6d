"""Comparison of algorithms by the number of evaluations that each needs to match the reference, over seeds.

The mark of a problem is the value of the reference (TPE without batches) after `MARK` evaluations, as the median over
seeds. The share of a search is the number of evaluations after which it reached the mark, divided by `MARK`: 0.25 is
four times as fast as the reference, and infinity means that the search never reached the mark.
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

TrajectoryKind = Literal["found", "chosen"]


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """The problem, algorithm and settings of a search."""

    problem: str
    algorithm: str
    batch: int
    seed: int
    evaluations: int


@dataclass(frozen=True, slots=True)
class ProblemFacts:
    """Properties of a problem for reading its runs without its table."""

    objective: Objective
    optimum: float


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Quartiles of values, some of which may be infinite."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quartiles:
        """Return the midpoint of the two values next to each quartile: interpolation would turn infinity into NaN."""
        below, above = (np.quantile(values, (0.25, 0.5, 0.75), method=method) for method in ("lower", "higher"))
        low, median, high = ((below + above) / 2).tolist()
        return cls(low, median, high)


@dataclass(frozen=True, slots=True)
class Score:
    """Result of an algorithm on a problem, over seeds."""

    problem: str
    algorithm: str
    batch: int
    seeds: int
    found: Quartiles
    """Shares of the mark for the `found` trajectories."""
    chosen: Quartiles
    """Shares of the mark for the `chosen` trajectories."""
    regrets: Mapping[int, float]
    """Evaluations -> median distance of the `found` trajectories from the optimum."""
    chosen_regrets: Mapping[int, float]
    seconds_per_evaluation: float
    """Median over seeds."""


def targets(runs: Mapping[RunKey, Search], problem: str, mark: int = MARK) -> Mapping[TrajectoryKind, float]:
    """Return the values (signed, larger is better) of the reference at the mark, as medians over its seeds."""
    reference = [run for key, run in runs.items() if (key.problem, key.algorithm, key.batch) == (problem, REFERENCE, 1)]
    return {
        kind: float(np.median([trajectory_of(run, kind).at(mark) for run in reference])) for kind in ("found", "chosen")
    }


def scores(facts: Mapping[str, ProblemFacts], runs: Mapping[RunKey, Search], mark: int = MARK) -> list[Score]:
    """Return a score per problem, algorithm and batch size, in this order, for problems with runs of the reference."""
    problems = {key.problem for key in runs if key.algorithm == REFERENCE and key.batch == 1}
    marks = {problem: targets(runs, problem, mark) for problem in problems}
    ordered = sorted(key for key in runs if key.problem in problems)
    groups = groupby(ordered, key=lambda key: (key.problem, key.algorithm, key.batch))
    return [
        _score(facts[problem], marks[problem], mark, [(key, runs[key]) for key in keys])
        for (problem, _, _), keys in groups
    ]


def trajectory_of(run: Search, kind: TrajectoryKind) -> Trajectory:
    return run.found if kind == "found" else run.chosen


def _score(
    facts: ProblemFacts, goals: Mapping[TrajectoryKind, float], mark: int, runs: Sequence[tuple[RunKey, Search]]
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
    return Quartiles.of([trajectory.evaluations_to(target) / mark for trajectory in trajectories])


def _regrets(facts: ProblemFacts, trajectories: Sequence[Trajectory], evaluations: int) -> dict[int, float]:
    best = facts.objective.sign * facts.optimum
    return {
        at: float(np.median([best - trajectory.at(at) for trajectory in trajectories]))
        for at in REGRETS_AT
        if at <= evaluations
    }

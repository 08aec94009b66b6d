"""Stage 2 of FBNetV3 (arXiv 2006.02049): predictor-based evolutionary search, for any limits, without training.

| symbol | meaning | shape |
|---|---|---|
| M | population: 50 of the best known and 50 random, within the limits | (p, d) |
| s | score, larger is better | (p,) |
| V | objectives, signed so that larger is better | (p, m) |

Each member has 24 children by an adaptive genetic algorithm (Srinivas and Patnaik 1994, as in ChamNet): what is worse
than the mean is crossed and mutated the most, the best the least. The best 40 of members and children go on, until the
best score gains 1e-6 or less. Spaces that can be listed are scored whole instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.metrics import Constraint, Objective
from searchsvc.domain.pareto import nondominated_ranks
from searchsvc.errors import NothingFeasible
from searchsvc.predictors.predictor import Predictor
from searchsvc.predictors.threads import one_thread
from searchsvc.predictors.variation import crossed, distinct, mutated, with_random_inactive
from searchsvc.spaces.costs.model import CostModel
from searchsvc.spaces.enumeration import enumerate_space
from searchsvc.spaces.space import Matrix, Space

BEST, RANDOM, CHILDREN, KEPT = 50, 50, 24, 40
LEAST_GAIN = 1e-6
ENUMERABLE = 2**15
_MOST_GENERATIONS = 200
_DRAWN, _DRAWS = 2048, 64
"""Random candidates per draw, and draws, after which nothing is taken to be feasible."""
_CROSSOVER = (0.2, 0.9)
_MUTATION = (0.02, 0.2)
"""(least, most) rates."""


@dataclass(frozen=True, slots=True)
class PredictedCandidate:
    """One answer."""

    row: Matrix
    """(d,)"""
    means: Mapping[str, float]
    """Predicted metrics, in their own units; objectives that the cost model knows are exact."""
    deviations: Mapping[str, float]
    costs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Goal:
    """What is searched for, and all that is known about it before training."""

    space: Space
    objectives: Sequence[Objective]
    hard: Sequence[Constraint]
    """Limits on costs."""
    outcome: Sequence[Constraint]
    """Limits on predicted metrics."""
    predictors: Mapping[str, Predictor]
    cost_model: CostModel

    def outlook(self, matrix: Matrix) -> tuple[dict[str, Matrix], dict[str, Matrix], dict[str, Matrix]]:
        """metric -> (n,): means, standard deviations, costs."""
        costs = dict(self.cost_model(matrix))
        means, deviations = {}, {}
        for metric, predictor in self.predictors.items():
            means[metric], deviations[metric] = predictor.predict(matrix)
        for objective in self.objectives:
            if objective.metric in costs:
                means[objective.metric] = costs[objective.metric]
                deviations[objective.metric] = np.zeros(len(matrix))
        return means, deviations, costs

    def within(self, matrix: Matrix) -> NDArray[np.bool_]:
        """(n,) whether the limits on costs hold."""
        return self.cost_model.within(matrix, self.hard)

    def values(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        """V (n, m), and by how much predicted metrics break their limits (n,)."""
        means, _, _ = self.outlook(matrix)
        columns = [one.sign * means[one.metric] for one in self.objectives]
        violations = np.zeros(len(matrix))
        for constraint in self.outcome:
            violations += constraint.excess(means[constraint.metric])
        return np.stack(columns, axis=1), violations


def search(
    predictors: Mapping[str, Predictor],
    space: Space,
    cost_model: CostModel,
    constraints: Sequence[Constraint],
    objectives: Sequence[Objective],
    *,
    seeds: Matrix | None,
    k: int,
    seed: int,
) -> list[PredictedCandidate]:
    """The best `k` different candidates within `constraints`, best first; fewer where there are no more.

    `predictors`: one per measured metric that an objective or a constraint names; `seeds` (s, d): candidates to start
    from, the measured ones. With several objectives the answers come from the predicted front. Raises NothingFeasible
    where neither the seeds nor 131,072 random candidates keep the limits.
    """
    hard, outcome = cost_model.split(constraints)
    goal = Goal(space, tuple(objectives), hard, outcome, predictors, cost_model)
    random = np.random.default_rng(seed)
    with one_thread():
        listed = enumerate_space(space, ENUMERABLE)
        if listed is not None:
            population = _best(goal, _feasible(goal, listed), k)[0]
        else:
            population = _evolved(goal, _start(goal, seeds, random), max(k, KEPT), random)[:k]
        means, deviations, costs = goal.outlook(population)
    return [
        PredictedCandidate(
            row, *({name: float(values[i]) for name, values in part.items()} for part in (means, deviations, costs))
        )
        for i, row in enumerate(population)
    ]


def _evolved(goal: Goal, population: Matrix, kept: int, random: np.random.Generator) -> Matrix:
    """The last population, best first."""
    population, scores = _best(goal, population, kept)
    for _ in range(_MOST_GENERATIONS):
        children = _children(goal.space, population, scores, random)
        children = children[goal.within(children)]
        before = _front(goal, population)
        population, scores = _best(goal, np.vstack([population, children]), kept)
        if _gain(before, _front(goal, population)) <= LEAST_GAIN:
            break
    return population


def _children(space: Space, population: Matrix, scores: Matrix, random: np.random.Generator) -> Matrix:
    """(p * 24, d)"""
    worse = _distance_from_best(scores)
    parents = np.repeat(np.arange(len(population)), CHILDREN)
    others = random.integers(len(population), size=len(parents))
    unit = with_random_inactive(space, population, random)
    crossover = _CROSSOVER[0] + (_CROSSOVER[1] - _CROSSOVER[0]) * worse[parents]
    mutation = _MUTATION[0] + (_MUTATION[1] - _MUTATION[0]) * worse[parents]
    return space.from_unit(mutated(space, crossed(unit[parents], unit[others], crossover, random), mutation, random))


def _distance_from_best(scores: Matrix) -> Matrix:
    """(p,) 1 for those not better than the mean, falling to 0 for the best (Srinivas and Patnaik 1994, eq. 3 and 4)."""
    mean, best = scores.mean(), scores.max()
    if best <= mean:
        return np.ones(len(scores))
    return np.asarray(np.clip((best - scores) / (best - mean), 0.0, 1.0))


def _best(goal: Goal, matrix: Matrix, count: int) -> tuple[Matrix, Matrix]:
    """The best `count` different rows, best first, and their scores."""
    matrix = matrix[distinct(matrix)]
    values, violations = goal.values(matrix)
    scores = values[:, 0] if values.shape[1] == 1 else -nondominated_ranks(values).astype(np.float64)
    spread = float(np.ptp(scores)) + 1.0
    scores = np.where(violations > 0, scores.min() - spread * (1 + violations), scores)
    order = np.lexsort((-values[:, 0], -scores))[:count]
    return matrix[order], scores[order]


def _front(goal: Goal, population: Matrix) -> Matrix:
    """(m,) the best of each objective in the population."""
    values, violations = goal.values(population)
    return np.asarray(np.where(violations[:, None] > 0, -np.inf, values).max(axis=0))


def _gain(before: Matrix, after: Matrix) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(after - before, nan=0.0, posinf=np.inf).max())


def _start(goal: Goal, seeds: Matrix | None, random: np.random.Generator) -> Matrix:
    """(p, d) the best of the seeds and random candidates, within the limits."""
    drawn, left = [np.empty((0, len(goal.space)))], RANDOM
    if seeds is not None and len(seeds):
        known = seeds[goal.within(seeds)]
        if len(known):
            drawn.append(_best(goal, known, BEST)[0])
    for _ in range(_DRAWS):
        sample = goal.space.sample(_DRAWN, random)
        sample = sample[goal.within(sample)][:left]
        drawn.append(sample)
        left -= len(sample)
        if left == 0:
            break
    return _not_empty(np.vstack(drawn))


def _feasible(goal: Goal, matrix: Matrix) -> Matrix:
    return _not_empty(matrix[goal.within(matrix)])


def _not_empty(matrix: Matrix) -> Matrix:
    if not len(matrix):
        raise NothingFeasible("no candidate within the limits was found: widen them")
    return matrix

"""Stage 2 of FBNetV3 (arXiv 2006.02049): predictor-based evolutionary search within given limits, without training.

| symbol | meaning | shape |
|---|---|---|
| M | population: the 50 best seeds and 50 random candidates, within the limits | (p, d) |
| s | score, larger is better | (p,) |
| V | objectives, signed so that larger is better | (p, m) |

Each member has 24 children by an adaptive genetic algorithm (Srinivas and Patnaik 1994, as in ChamNet): members with a
score below the mean are crossed and mutated at the highest rates, the best member at the lowest. The best 40 of members
and children survive. The search ends when the best score gains 1e-6 or less. Spaces that can be listed are scored whole
instead.
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

BEST, RANDOM, CHILDREN, SURVIVORS = 50, 50, 24, 40
LEAST_GAIN = 1e-6
ENUMERABLE = 2**15
_MOST_GENERATIONS = 200
_DRAWN, _DRAWS = 2048, 64
"""Random candidates per draw, and the number of draws after which no candidate is assumed to be feasible."""
_CROSSOVER = (0.2, 0.9)
_MUTATION = (0.02, 0.2)
"""(lowest, highest) rates of crossover and mutation."""


@dataclass(frozen=True, slots=True)
class PredictedCandidate:
    """A candidate that the search returns, with its predictions."""

    row: Matrix
    """(d,)"""
    means: Mapping[str, float]
    """Predicted metrics, in their own units; an objective that the cost model computes is exact."""
    deviations: Mapping[str, float]
    costs: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedProblem:
    """Space, objectives and limits of a search, with the models that evaluate candidates before training."""

    space: Space
    objectives: Sequence[Objective]
    hard: Sequence[Constraint]
    """Limits on costs."""
    outcome: Sequence[Constraint]
    """Limits on predicted metrics."""
    predictors: Mapping[str, Predictor]
    cost_model: CostModel

    def posterior(self, matrix: Matrix) -> tuple[dict[str, Matrix], dict[str, Matrix], dict[str, Matrix]]:
        """metric -> (n,) means, standard deviations and costs of candidates (n, d)."""
        costs = dict(self.cost_model(matrix))  # metric -> (n,)
        means, deviations = {}, {}
        for metric, predictor in self.predictors.items():
            means[metric], deviations[metric] = predictor.predict(matrix)
        for objective in self.objectives:
            if objective.metric in costs:
                means[objective.metric] = costs[objective.metric]
                deviations[objective.metric] = np.zeros(len(matrix))
        return means, deviations, costs

    def within(self, matrix: Matrix) -> NDArray[np.bool_]:
        """(n,) whether candidates (n, d) keep the limits on costs."""
        return self.cost_model.within(matrix, self.hard)

    def values(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        """V (n, m), and the total excess (n,) of predicted metrics over their limits."""
        means, _, _ = self.posterior(matrix)  # metric -> (n,)
        columns = [objective.sign * means[objective.metric] for objective in self.objectives]  # (n,) each
        violations = np.zeros(len(matrix))  # (n,)
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
    """Find the best `k` different candidates within `constraints`, best first; fewer if the space has fewer.

    `predictors`: by metric, for every measured metric that an objective or a constraint names. `seeds` (s, d):
    candidates to start from, usually the measured candidates. With several objectives the candidates come from the
    predicted front. Raises NothingFeasible if neither the seeds nor 131,072 random candidates keep the limits.
    """
    hard, outcome = cost_model.split(constraints)
    problem = PredictedProblem(
        space=space,
        objectives=tuple(objectives),
        hard=hard,
        outcome=outcome,
        predictors=predictors,
        cost_model=cost_model,
    )
    random = np.random.default_rng(seed)
    with one_thread():
        listed = enumerate_space(space, ENUMERABLE)  # (size, d)
        if listed is not None:
            population = _best(problem, _feasible(problem, listed), k)[0]  # (<= k, d)
        else:
            population = _evolved(problem, _start(problem, seeds, random), max(k, SURVIVORS), random)[:k]
        means, deviations, costs = problem.posterior(population)  # metric -> (<= k,)
    return [
        PredictedCandidate(
            row, *({name: float(values[i]) for name, values in part.items()} for part in (means, deviations, costs))
        )
        for i, row in enumerate(population)
    ]


def _evolved(problem: PredictedProblem, population: Matrix, survivors: int, random: np.random.Generator) -> Matrix:
    """The last population (p, d), best first; `survivors`: its size."""
    population, scores = _best(problem, population, survivors)  # (p, d), (p,)
    for _ in range(_MOST_GENERATIONS):
        children = _children(problem.space, population, scores, random)  # (p * 24, d)
        children = children[problem.within(children)]  # (feasible, d)
        before = _front(problem, population)  # (m,)
        population, scores = _best(problem, np.vstack([population, children]), survivors)
        if _gain(before, _front(problem, population)) <= LEAST_GAIN:
            break
    return population


def _children(space: Space, population: Matrix, scores: Matrix, random: np.random.Generator) -> Matrix:
    """(p * 24, d) children of the population (p, d) with scores (p,)."""
    worse = _distance_from_best(scores)  # (p,)
    parents = np.repeat(np.arange(len(population)), CHILDREN)  # (p * 24,)
    others = random.integers(len(population), size=len(parents))  # (p * 24,)
    unit = with_random_inactive(space, population, random)  # (p, d)
    crossover = _CROSSOVER[0] + (_CROSSOVER[1] - _CROSSOVER[0]) * worse[parents]  # (p * 24,)
    mutation = _MUTATION[0] + (_MUTATION[1] - _MUTATION[0]) * worse[parents]  # (p * 24,)
    return space.from_unit(mutated(space, crossed(unit[parents], unit[others], crossover, random), mutation, random))


def _distance_from_best(scores: Matrix) -> Matrix:
    """(p,) 1 if a score is not above the mean, falling to 0 for the best (Srinivas and Patnaik 1994, eq. 3 and 4)."""
    mean, best = scores.mean(), scores.max()
    if best <= mean:
        return np.ones(len(scores))
    return np.asarray(np.clip((best - scores) / (best - mean), 0.0, 1.0))


def _best(problem: PredictedProblem, matrix: Matrix, count: int) -> tuple[Matrix, Matrix]:
    """(count, d) the best different rows of `matrix` (n, d), best first, and their scores (count,)."""
    matrix = matrix[distinct(matrix)]  # (distinct, d)
    values, violations = problem.values(matrix)  # (n, m), (n,)
    scores = values[:, 0] if values.shape[1] == 1 else -nondominated_ranks(values).astype(np.float64)
    spread = float(np.ptp(scores)) + 1.0
    # A candidate that breaks a limit scores below every candidate that keeps them, and lower the more it breaks it.
    scores = np.where(violations > 0, scores.min() - spread * (1 + violations), scores)  # (n,)
    order = np.lexsort((-values[:, 0], -scores))[:count]  # (count,): by score, then by the first objective
    return matrix[order], scores[order]


def _front(problem: PredictedProblem, population: Matrix) -> Matrix:
    """(m,) the best value of each objective in the population; -inf if no member keeps the limits."""
    values, violations = problem.values(population)  # (p, m), (p,)
    return np.asarray(np.where(violations[:, None] > 0, -np.inf, values).max(axis=0))


def _gain(before: Matrix, after: Matrix) -> float:
    """The largest gain over objectives (m,); infinite if only `after` keeps the limits, 0 if neither does."""
    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(after - before, nan=0.0, posinf=np.inf).max())


def _start(problem: PredictedProblem, seeds: Matrix | None, random: np.random.Generator) -> Matrix:
    """(p, d) the best seeds and random candidates, within the limits on costs."""
    parts, missing = [np.empty((0, len(problem.space)))], RANDOM
    if seeds is not None and len(seeds):
        feasible = seeds[problem.within(seeds)]
        if len(feasible):
            parts.append(_best(problem, feasible, BEST)[0])
    for _ in range(_DRAWS):
        sample = problem.space.sample(_DRAWN, random)  # (2048, d)
        sample = sample[problem.within(sample)][:missing]
        parts.append(sample)
        missing -= len(sample)
        if missing == 0:
            break
    return _not_empty(np.vstack(parts))


def _feasible(problem: PredictedProblem, matrix: Matrix) -> Matrix:
    return _not_empty(matrix[problem.within(matrix)])


def _not_empty(matrix: Matrix) -> Matrix:
    if not len(matrix):
        raise NothingFeasible("no candidate within the limits was found: widen them")
    return matrix

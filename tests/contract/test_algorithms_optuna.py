"""The adapter compared with Optuna itself: results that a view hides from a sampler make no difference to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial

from searchsvc.algorithms import create
from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm
from searchsvc.domain import Candidate, Constraint, FailureKind, Objective, Observation
from searchsvc.spaces import Categorical, Float, Integer, Space
from tests.support.work import calls

SPACE = Space(
    [Float("x", -2.0, 2.0), Float("y", 1e-3, 1.0, log=True), Integer("n", 1, 20), Categorical("c", ("a", "b"))]
)
SCORE, COST = Objective(metric="score"), Objective(metric="cost", goal="minimize")


class AllByNumber:
    """Every result, as a plain study would show it."""

    def __init__(self) -> None:
        self._results: list[FrozenTrial] = []

    def add(self, trial: FrozenTrial) -> None:
        self._results.append(trial)

    def shown(self, study_attributes: Mapping[str, Any]) -> list[FrozenTrial]:  # noqa: ARG002
        return sorted(self._results, key=lambda trial: trial.number)


def metrics_of(candidate: Candidate) -> dict[str, float]:
    x, y, n = (float(candidate.values[name]) for name in "xyn")
    return {"score": -((x - 0.5) ** 2) - np.log10(y) ** 2 / 9 - abs(n - 7) / 20, "cost": n * y, "latency": abs(x)}


def run_search(algorithm: OptunaAlgorithm, trials: int) -> list[Candidate]:
    """Run a search with up to five pending candidates, results in random order, and failures.

    Before it starts, it is told results of candidates from elsewhere.
    """
    random = np.random.default_rng(2)
    warm = SPACE.from_matrix(SPACE.sample(3, random))
    algorithm.tell([Observation(one, metrics_of(one), step=1) for one in warm])
    pending: list[Candidate] = []
    candidates: list[Candidate] = []
    while len(candidates) < trials:
        pending += (new := algorithm.ask(int(random.integers(1, 4))))
        candidates += new
        while len(pending) > random.integers(5):
            candidate = pending.pop(int(random.integers(len(pending))))
            failed = random.random() < 0.1
            kind = FailureKind.INFEASIBLE if random.random() < 0.5 else FailureKind.ERROR
            metrics = None if failed else metrics_of(candidate)
            algorithm.tell([Observation(candidate, metrics, kind if failed else None, step=1)])
    return candidates


@pytest.mark.parametrize(
    ("name", "options", "objectives"),
    [
        ("nsga2", {"population": 6}, [SCORE, COST]),
        ("nsga2", {"population": 10}, [SCORE]),
        ("cmaes", {"population": 5}, [SCORE]),
        ("cmaes", {"startup_trials": 20}, [SCORE]),
    ],
)
def test_samplers_in_generations_need_only_the_results_of_their_view(
    name: str, options: dict[str, int], objectives: list[Objective]
) -> None:
    limit = Constraint(metric="latency", max=1.0)
    ours = create(name, space=SPACE, objectives=objectives, constraints=[limit], seed=4, **options)
    assert isinstance(ours, OptunaAlgorithm)
    problem = Problem(space=SPACE, objectives=tuple(objectives), constraints=(limit,), seed=4)
    whole = OptunaAlgorithm(problem, replace(ours._traits, view=AllByNumber))
    assert run_search(ours, 300) == run_search(whole, 300)


def test_told_one_at_a_time_it_proposes_what_plain_optuna_would() -> None:
    """The reference is the same TPE sampler, created again for each ask, on a study that Optuna keeps."""
    space = Space([Float("x", -1.0, 1.0), Integer("n", 1, 64, log=True), Categorical("c", (0, 1, 2))])
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        "x": optuna.distributions.FloatDistribution(-1.0, 1.0),
        "n": optuna.distributions.IntDistribution(1, 64, log=True),
        "c": optuna.distributions.CategoricalDistribution((0, 1, 2)),
    }
    algorithm = create("tpe", space=space, objectives=[SCORE], seed=9)
    study = optuna.create_study(direction="maximize")
    for ask in range(30):
        [candidate] = algorithm.ask(1)
        seed = int(np.random.SeedSequence([9, ask]).generate_state(1)[0])
        study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
        trial = study.ask(distributions)
        assert dict(candidate.values) == trial.params
        score = float(np.cos(sum(map(float, trial.params.values()))))
        study.tell(trial, score)
        algorithm.tell([Observation(candidate, {"score": score}, step=1)])


@pytest.mark.parametrize("name", ["nsga2", "cmaes", "evolution"])
def test_an_ask_does_not_slow_down_as_results_accumulate(name: str) -> None:
    algorithm = create(name, space=SPACE, objectives=[SCORE], seed=1)

    def calls_for(count: int) -> int:
        with calls() as operations:
            for _ in range(count):
                [candidate] = algorithm.ask(1)
                algorithm.tell([Observation(candidate, metrics_of(candidate), step=1)])
        return operations.count

    calls_for(200)
    early = calls_for(100)
    calls_for(1_600)
    assert calls_for(100) < 1.5 * early

"""SMAC3 as a Searcher: its facade for hyperparameter optimisation (random forest) with its defaults.

Each candidate is evaluated once, as in all other searches, so SMAC treats the objective as deterministic. Under limits,
its expected improvement is minus infinity beyond them, and the proposals of its initial and random designs beyond them
are skipped. It is not installed with the product: `pip install --constraint constraints.txt -e '.[bench]'`.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from searchsvc.benchmarks import Statement
from searchsvc.domain import Candidate, Categorical
from searchsvc.spaces import Matrix

NAME = "smac"
PASSED_OVER = 10_000
"""Number of consecutive candidates beyond the limits after which the search ends."""


def installed() -> bool:
    return find_spec("ConfigSpace") is not None and find_spec("smac") is not None


class SmacSearch:
    """A search by SMAC3, for spaces of choices only, as tables have them."""

    def __init__(self, statement: Statement, seed: int, evaluations: int) -> None:
        from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace
        from smac import HyperparameterOptimizationFacade as Facade
        from smac import Scenario

        self._statement = statement
        self._choices = {one.name: one.choices for one in statement.space.parameters if isinstance(one, Categorical)}
        space = ConfigurationSpace(seed=seed)
        # By position, so that choices of any type can be distinguished.
        space.add([CategoricalHyperparameter(name, range(len(one))) for name, one in self._choices.items()])
        self._columns = [list(space.keys()).index(name) for name in self._choices]
        with tempfile.TemporaryDirectory() as folder:
            scenario = Scenario(
                space, n_trials=evaluations, seed=seed, deterministic=True, output_directory=Path(folder)
            )
            acquisition = self._limited(Facade.get_acquisition_function(scenario)) if statement.limits else None
            self._facade = Facade(scenario, acquisition_function=acquisition, logging_level=False, overwrite=True)
        self._asked: dict[Candidate, Any] = {}
        logging.getLogger("smac").setLevel(logging.ERROR)  # it warns whenever it draws at random

    def ask(self, count: int) -> Sequence[Candidate]:
        candidates: list[Candidate] = []
        while len(candidates) < count and (candidate := self._next()) is not None:
            candidates.append(candidate)
        return candidates

    def tell(self, candidate: Candidate, metrics: Mapping[str, float]) -> None:
        from smac.runhistory.dataclasses import TrialValue

        objective = self._statement.objective
        cost = -objective.sign * metrics[objective.metric]
        self._facade.tell(self._asked.pop(candidate), TrialValue(cost=cost), save=False)

    def _next(self) -> Candidate | None:
        from smac.main.exceptions import ConfigurationSpaceExhaustedException

        for _ in range(PASSED_OVER):
            try:
                info = self._facade.ask()
            except (StopIteration, ConfigurationSpaceExhaustedException):
                return None
            candidate = Candidate({name: options[info.config[name]] for name, options in self._choices.items()})
            if self._within_limits(self._statement.space.to_matrix([candidate])).all():
                self._asked[candidate] = info
                return candidate
        return None

    def _within_limits(self, matrix: Matrix) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return (n,) whether each candidate of (n, d) is within the limits."""
        costs = self._statement.cost_model(matrix)
        within = [limit.excess(costs[limit.metric]) == 0 for limit in self._statement.limits]
        return np.logical_and.reduce(within, axis=0)

    def _limited(self, acquisition: Any) -> Any:
        """Return the acquisition function, minus infinity beyond the limits."""
        unlimited = acquisition._compute

        def limited(X: Matrix) -> Matrix:  # (n, d) positions of choices -> (n, 1)
            within = self._within_limits(X[:, self._columns])
            return np.where(within[:, None], unlimited(X), -np.inf)

        acquisition._compute = limited
        return acquisition

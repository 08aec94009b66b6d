"""The table of algorithms: a description, options and a factory by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

from searchsvc.algorithms.autohas import Autohas, AutohasOptions
from searchsvc.algorithms.base import Algorithm, Problem
from searchsvc.algorithms.evolution import Evolution, EvolutionOptions
from searchsvc.algorithms.fbnetv3.search import FbnetV3, FbnetV3Options, stopping
from searchsvc.algorithms.fixed_list import FixedList, FixedListOptions
from searchsvc.algorithms.options import MethodOptions, unknown_name, validated
from searchsvc.algorithms.optuna.options import CmaEsOptions, GpOptions, NsgaOptions, TpeOptions
from searchsvc.algorithms.random_search import RandomOptions, random_search
from searchsvc.algorithms.sobol import SobolOptions, sobol
from searchsvc.domain.metrics import Constraint, Objective
from searchsvc.domain.spec import StoppingSpec
from searchsvc.spaces.costs.model import CostFunction, CostModel
from searchsvc.spaces.space import Space


@dataclass(frozen=True, slots=True)
class AlgorithmEntry:
    """An algorithm that a spec may name."""

    name: str
    description: str
    factory: Callable[[Problem, Any], Algorithm]
    """Creates the algorithm from a problem and an instance of `options`."""
    options: type[MethodOptions]
    stopping: Callable[[Any], StoppingSpec] = lambda _: StoppingSpec()
    """Derives the default stopping rule, for specs that name none, from an instance of `options`."""
    shares_weights: bool = False
    """True if the algorithm searches by a supernet: its task is then a SupernetTask, and there is a single objective.
    """


def _optuna(name: str) -> Callable[[Problem, Any], Algorithm]:
    """Return the factory of a method of Optuna. The factory imports Optuna when it is called: the import takes seconds.
    """

    def factory(problem: Problem, options: Any) -> Algorithm:
        method: Callable[[Problem, Any], Algorithm] = getattr(
            import_module(f"searchsvc.algorithms.optuna.{name}"), name
        )
        return method(problem, options)

    return factory


_ENTRIES = (
    AlgorithmEntry("random", "Independent uniform draws.", random_search, RandomOptions),
    AlgorithmEntry("sobol", "A scrambled low-discrepancy sequence.", sobol, SobolOptions),
    AlgorithmEntry("evolution", "Regularised evolution: tournaments, mutations, ageing.", Evolution, EvolutionOptions),
    AlgorithmEntry("tpe", "Tree-structured Parzen estimator, multivariate.", _optuna("tpe"), TpeOptions),
    AlgorithmEntry("fbnetv3", "Joint search with a learned predictor (FBNetV3).", FbnetV3, FbnetV3Options, stopping),
    AlgorithmEntry("gp", "Bayesian optimisation with a Gaussian process.", _optuna("gp"), GpOptions),
    AlgorithmEntry(
        "nsga2", "NSGA-II: a genetic algorithm for several objectives.", _optuna("nsga2"), NsgaOptions
    ),
    AlgorithmEntry(
        "cmaes", "CMA-ES: for numeric parameters and one objective.", _optuna("cmaes"), CmaEsOptions
    ),
    AlgorithmEntry("autohas", "Weight sharing (AutoHAS).", Autohas, AutohasOptions, shares_weights=True),
    AlgorithmEntry("given", "A fixed list of candidates, in its order.", FixedList, FixedListOptions),
)

ALGORITHMS: Mapping[str, AlgorithmEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def create(
    name: str,
    *,
    space: Space,
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint] = (),
    cost_model: CostModel | CostFunction | None = None,
    seed: int = 0,
    **options: Any,
) -> Algorithm:
    """Create the algorithm `name`.

    A constraint on a metric of the cost model is hard: it is checked before a trial (see Proposer), whether or not the
    algorithm uses it. The others are outcome constraints. Raises InvalidInput with pointers `/name`, `/<option>`.
    """
    settings = validate_options(name, options)
    costs = CostModel.of(cost_model, space)
    hard, outcome = costs.split(constraints)
    problem = Problem(
        space=space,
        objectives=tuple(objectives),
        hard=hard,
        constraints=outcome,
        cost_model=costs,
        seed=seed,
    )
    return ALGORITHMS[name].factory(problem, settings)


def validate_options(name: str, options: Mapping[str, Any]) -> MethodOptions:
    """Complete the options of algorithm `name`. Raises InvalidInput with pointers `/name`, `/<option>`."""
    if name not in ALGORITHMS:
        raise unknown_name("algorithm", name, ALGORITHMS)
    return validated(ALGORITHMS[name].options, options, name)

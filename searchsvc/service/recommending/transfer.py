"""Transfer: whether the recipes that a job has found suit networks that the job did not train.

FBNetV3 (arXiv 2006.02049) claims that a recipe found for one network trains other networks better than their usual
recipe. This can be measured: a job trains networks of another space with the default recipe and with each recipe found,
and a report shows the results side by side.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from searchsvc.domain import Categorical, Job, JobSpec, Objective, Scalar, Trial, TrialState, value_key
from searchsvc.domain.spec import NamedSpace
from searchsvc.domain.trial_task import REPLICATE
from searchsvc.errors import Conflict, Fault, InvalidInput, NotFound
from searchsvc.service.lookup.checks import close_to
from searchsvc.service.recommending.recommend import training_spec
from searchsvc.service.results import standing
from searchsvc.spaces import ShippedSpace, catalogue, recipe
from searchsvc.spaces.halves import halves
from searchsvc.spaces.network_family import NETWORK
from searchsvc.store import Store

TAG = "transfer"
"""Tag of a job that transfers recipes."""
NETWORKS = 3
"""Number of networks of the space to train if the user names none."""
LARGEST_K = 20
MOST_REPEATS = 20
_LOOKED_AT = 200  # number of best trials read, of which several may share a recipe

Recipe = Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class RecipeResult:
    """The results of a network with a recipe."""

    recipe: int
    """Index of the recipe: 0 is the default recipe; 1, 2, ... are the recipes found, the best first."""
    trials: int
    """Number of trials with a result, over which `mean` and `deviation` are computed."""
    mean: float | None
    deviation: float | None
    """Standard deviation; None for fewer than two trials."""
    gain: float | None
    """Improvement over the default recipe; positive is better for both goals."""


@dataclass(frozen=True, slots=True)
class TransferReport:
    """The results of the recipes for each network."""

    job: Job
    objective: Objective
    recipes: tuple[Recipe, ...]
    """The default recipe, then the recipes that were found."""
    networks: Mapping[str, tuple[RecipeResult, ...]]
    """Results by network, one entry per recipe, in the order of `recipes`."""

    @property
    def differing(self) -> tuple[str, ...]:
        """The parameters in which the recipes differ."""
        return tuple(name for name in self.recipes[0] if len({recipe.get(name) for recipe in self.recipes}) > 1)


# ---- the job ---------------------------------------------------------------------------------------------------------


def spec_of(store: Store, job: Job, space: str, *, k: int, networks: Sequence[str], repeats: int) -> dict[str, Any]:
    """Return the spec of a job that measures the transfer.

    Raises InvalidInput (pointers `/space`, `/networks/0`, `/k`, `/repeats`), and Conflict if there is no recipe yet.
    """
    _check_counts(k, repeats)
    shipped = _space_of_networks(space)
    chosen = _chosen(shipped, networks)
    recipes = [_default(job), *_best_recipes(store, job, k)]
    pairs = [(network, values) for network in chosen for values in _distinct(recipes)]
    candidates = [{NETWORK: network, **values} for network, values in pairs for _ in range(repeats)]
    return training_spec(
        job,
        candidates,
        name=TAG,
        space={"parameters": [*_parameters(candidates)]},
        constraints=[],  # the limits of the job concern the networks that it searched
        objectives=[job.spec.objectives[0].model_dump(mode="json")],
        pretrained=None,
        repeats=repeats > 1,
        tags=[*(tag for tag in job.spec.tags if tag != TAG), TAG],
    )


def _check_counts(k: int, repeats: int) -> None:
    limits = (("k", k, LARGEST_K), ("repeats", repeats, MOST_REPEATS))
    if faults := [
        Fault(f"/{name}", f"must lie from 1 to {most}") for name, value, most in limits if not 1 <= value <= most
    ]:
        raise InvalidInput(faults)


def _space_of_networks(name: str) -> ShippedSpace:
    """Return the space with that name if it searches `network`. Raises InvalidInput otherwise."""
    fitting = [space.name for space in catalogue.SPACES.values() if _is_of_networks(space)]
    try:
        shipped = catalogue.find(name)
    except NotFound as error:
        raise InvalidInput.at("/space", str(error)) from None
    if name not in fitting:
        message = f"{name} builds its networks from genes; recipes are transferred to networks that have names"
        raise InvalidInput.at("/space", f"{message}: {', '.join(fitting)}")
    return shipped


def _is_of_networks(shipped: ShippedSpace) -> bool:
    return NETWORK in shipped.space and isinstance(shipped.space[NETWORK], Categorical)


def _chosen(shipped: ShippedSpace, names: Sequence[str]) -> list[str]:
    parameter = shipped.space[NETWORK]
    assert isinstance(parameter, Categorical)
    choices = [str(choice) for choice in parameter.choices]
    faults = [
        Fault(f"/networks/{index}", f"{shipped.name} has no network {name!r}{close_to(name, choices)}")
        for index, name in enumerate(names)
        if name not in choices
    ]
    if faults:
        raise InvalidInput(faults)
    return list(dict.fromkeys(names)) or choices[:NETWORKS]


def _default(job: Job) -> Recipe:
    """Return the recipe that a trial uses if nothing is searched."""
    table = recipe.TABLES.get(job.spec.task)
    return halves(table.defaults).recipe if table else {}


def _best_recipes(store: Store, job: Job, k: int) -> list[Recipe]:
    """Return the complete recipes of the best trials, each once. Raises Conflict if the job has found none."""
    searched = catalogue.find(job.spec.space.name) if isinstance(job.spec.space, NamedSpace) else None
    constants = {**_default(job), **halves(searched.constants if searched else {}).recipe}
    trials = standing.best(store, job, _LOOKED_AT)
    if not trials:
        raise Conflict(f"job {job.name} has no finished trial that keeps its constraints yet")
    if not any(halves(trial.values).recipe for trial in trials):
        raise Conflict(f"job {job.name} searches no recipe: none of {', '.join(sorted(_default(job)))} is in its space")
    return _distinct([{**constants, **_of_any_network(halves(trial.values).recipe)} for trial in trials])[:k]


def _of_any_network(searched: Recipe) -> Recipe:
    """Return the recipe without the parameters that concern the weights of a single network, or repetitions."""
    own = (recipe.INIT, recipe.FROZEN_STAGES, recipe.LAYER_DECAY, REPLICATE)
    return {name: value for name, value in searched.items() if name not in own}


def _distinct(recipes: Sequence[Recipe]) -> list[Recipe]:
    return [values for index, values in enumerate(recipes) if values not in recipes[:index]]


def _parameters(candidates: Sequence[Mapping[str, Scalar]]) -> Iterator[dict[str, Any]]:
    """Yield every parameter as a choice among the values that it has in the candidates."""
    for name in candidates[0]:
        choices = list({value_key(candidate[name]): candidate[name] for candidate in candidates}.values())
        yield {"type": "categorical", "name": name, "choices": choices}


# ---- the report ------------------------------------------------------------------------------------------------------


def report(store: Store, job: Job) -> TransferReport:
    """Return the results measured so far. Raises Conflict if the job does not transfer recipes."""
    candidates = _listed_candidates(job.spec)
    recipes = _distinct([halves(candidate).recipe for candidate in candidates])
    objective = job.spec.objectives[0]
    results = _values(store.all_trials(job.id), objective.metric)
    networks = {
        network: tuple(_rows([results.get((network, _key(values)), []) for values in recipes], objective))
        for network in dict.fromkeys(str(candidate[NETWORK]) for candidate in candidates)
    }
    return TransferReport(job, objective, tuple(recipes), networks)


def _listed_candidates(spec: JobSpec) -> list[dict[str, Scalar]]:
    if TAG not in spec.tags or spec.algorithm.name != "given":
        raise Conflict(f"job {spec.name} transfers no recipes: `searchctl transfer JOB --space SPACE` creates one")
    candidates: list[dict[str, Scalar]] = spec.algorithm.options["candidates"]
    return candidates


def _values(trials: Sequence[Trial], metric: str) -> dict[tuple[str, frozenset[tuple[str, Hashable]]], list[float]]:
    """Return the measured values by network and recipe."""
    values: dict[tuple[str, frozenset[tuple[str, Hashable]]], list[float]] = {}
    for trial in trials:
        if trial.state is TrialState.SUCCEEDED and trial.metrics is not None:
            place = str(trial.values[NETWORK]), _key(halves(trial.values).recipe)
            values.setdefault(place, []).append(trial.metrics[metric])
    return values


def _key(recipe_values: Recipe) -> frozenset[tuple[str, Hashable]]:
    return frozenset((name, value_key(value)) for name, value in recipe_values.items())


def _rows(values: Sequence[Sequence[float]], objective: Objective) -> Iterator[RecipeResult]:
    default = fmean(values[0]) if values[0] else None
    for index, measured in enumerate(values):
        mean = fmean(measured) if measured else None
        gain = objective.sign * (mean - default) if index and mean is not None and default is not None else None
        yield RecipeResult(index, len(measured), mean, stdev(measured) if len(measured) > 1 else None, gain)

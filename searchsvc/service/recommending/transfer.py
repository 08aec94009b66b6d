"""Transfer: whether the recipes that a job has found are good for networks that it never saw.

FBNetV3 (arXiv 2006.02049) claims that a recipe found for one network trains others better than their usual one does.
Here that is measured: a job trains networks of another space with the default recipe and with each of those found, and
a report puts the results side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from searchsvc.domain import Categorical, Job, JobSpec, Objective, Scalar, Trial, TrialState
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
"""Of a job that transfers recipes."""
NETWORKS = 3
"""So many of the space's networks are trained where none are named."""
LARGEST_K = 20
MOST_REPEATS = 20
_LOOKED_AT = 200  # the best trials, of which several may share a recipe

Recipe = Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class RecipeResult:
    """What one network reached with one recipe."""

    recipe: int
    """0 is the default recipe; 1, 2, ... are those found, the best first."""
    trials: int
    """Trials with a result; `mean` and `deviation` are over them."""
    mean: float | None
    deviation: float | None
    """Standard deviation; None of fewer than two trials."""
    gain: float | None
    """By how much it is better than with the default recipe, whichever direction is better."""


@dataclass(frozen=True, slots=True)
class TransferReport:
    """What the recipes did for each network."""

    job: Job
    objective: Objective
    recipes: tuple[Recipe, ...]
    """The default recipe, then those that were found."""
    networks: Mapping[str, tuple[RecipeResult, ...]]
    """By network: one entry per recipe, in their order."""

    @property
    def differing(self) -> tuple[str, ...]:
        """The parameters in which the recipes are not all alike."""
        return tuple(name for name in self.recipes[0] if len({one.get(name) for one in self.recipes}) > 1)


# ---- the job ---------------------------------------------------------------------------------------------------------


def spec_of(store: Store, job: Job, space: str, *, k: int, networks: Sequence[str], repeats: int) -> dict[str, Any]:
    """The spec of a job that measures the transfer.

    Raises InvalidInput (pointers `/space`, `/networks/0`, `/k`, `/repeats`) and Conflict where nothing was found yet.
    """
    _check_counts(k, repeats)
    shipped = _space_of_networks(space)
    chosen = _chosen(shipped, networks)
    recipes = [_default(job), *_found(store, job, k)]
    candidates = [{NETWORK: network, **one} for network in chosen for one in _distinct(recipes) for _ in range(repeats)]
    return training_spec(
        job,
        candidates,
        name=TAG,
        space={"parameters": [*_parameters(candidates)]},
        constraints=[],  # they are about the networks that were searched
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
    """The space of that name, where `network` is searched. Raises InvalidInput."""
    fitting = [one.name for one in catalogue.SPACES.values() if _is_of_networks(one)]
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
    known = [str(one) for one in parameter.choices]
    faults = [
        Fault(f"/networks/{index}", f"{shipped.name} has no network {name!r}{close_to(name, known)}")
        for index, name in enumerate(names)
        if name not in known
    ]
    if faults:
        raise InvalidInput(faults)
    return list(dict.fromkeys(names)) or known[:NETWORKS]


def _default(job: Job) -> Recipe:
    """The recipe of whoever searches nothing."""
    table = recipe.TABLES.get(job.spec.task)
    return halves(table.defaults).recipe if table else {}


def _found(store: Store, job: Job, k: int) -> list[Recipe]:
    """The recipes of the best trials, each once, whole. Raises Conflict where there is none."""
    searched = catalogue.find(job.spec.space.name) if isinstance(job.spec.space, NamedSpace) else None
    constants = {**_default(job), **halves(searched.constants if searched else {}).recipe}
    trials = standing.best(store, job, _LOOKED_AT)
    if not trials:
        raise Conflict(f"job {job.name} has no finished trial that keeps its constraints yet")
    if not any(halves(trial.values).recipe for trial in trials):
        raise Conflict(f"job {job.name} searches no recipe: none of {', '.join(sorted(_default(job)))} is in its space")
    return _distinct([{**constants, **_of_any_network(halves(trial.values).recipe)} for trial in trials])[:k]


def _of_any_network(searched: Recipe) -> Recipe:
    """Without what is about the weights of one network, and about repetitions."""
    own = (recipe.INIT, recipe.FROZEN_STAGES, recipe.LAYER_DECAY, REPLICATE)
    return {name: value for name, value in searched.items() if name not in own}


def _distinct(recipes: Sequence[Recipe]) -> list[Recipe]:
    return [one for index, one in enumerate(recipes) if one not in recipes[:index]]


def _parameters(candidates: Sequence[Mapping[str, Scalar]]) -> Iterator[dict[str, Any]]:
    """Every parameter as a choice among the values that it has somewhere."""
    for name in candidates[0]:
        choices = list(dict.fromkeys(one[name] for one in candidates))
        yield {"type": "categorical", "name": name, "choices": choices}


# ---- the report ------------------------------------------------------------------------------------------------------


def report(store: Store, job: Job) -> TransferReport:
    """What was measured so far. Raises Conflict where the job is no transfer of recipes."""
    listed = _listed(job.spec)
    recipes = _distinct([halves(one).recipe for one in listed])
    objective = job.spec.objectives[0]
    values = _values(store.all_trials(job.id), objective.metric)
    networks = {
        network: tuple(_rows([values.get((network, _key(one)), []) for one in recipes], objective))
        for network in dict.fromkeys(str(one[NETWORK]) for one in listed)
    }
    return TransferReport(job, objective, tuple(recipes), networks)


def _listed(spec: JobSpec) -> list[dict[str, Scalar]]:
    if TAG not in spec.tags or spec.algorithm.name != "given":
        raise Conflict(f"job {spec.name} transfers no recipes: `searchctl transfer JOB --space SPACE` makes such jobs")
    candidates: list[dict[str, Scalar]] = spec.algorithm.options["candidates"]
    return candidates


def _values(trials: Sequence[Trial], metric: str) -> dict[tuple[str, frozenset[tuple[str, Scalar]]], list[float]]:
    """What was measured, by network and recipe."""
    found: dict[tuple[str, frozenset[tuple[str, Scalar]]], list[float]] = {}
    for trial in trials:
        if trial.state is TrialState.SUCCEEDED and trial.metrics is not None:
            place = str(trial.values[NETWORK]), _key(halves(trial.values).recipe)
            found.setdefault(place, []).append(trial.metrics[metric])
    return found


def _key(one: Recipe) -> frozenset[tuple[str, Scalar]]:
    return frozenset(one.items())


def _rows(values: Sequence[Sequence[float]], objective: Objective) -> Iterator[RecipeResult]:
    default = fmean(values[0]) if values[0] else None
    for index, measured in enumerate(values):
        mean = fmean(measured) if measured else None
        gain = objective.sign * (mean - default) if index and mean is not None and default is not None else None
        yield RecipeResult(index, len(measured), mean, stdev(measured) if len(measured) > 1 else None, gain)

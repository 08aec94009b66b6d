"""Resolve a spec into its blueprint, in stages: names, data, costs.

::

    find_task -> resolve_names -> resolve_data -> resolve_methods -> resolve_costs -> Blueprint

Each stage looks up the facts that the document alone does not contain, collects its faults, and passes a typed result
to the next stage. A fault does not end the later stages: they check whatever does not depend on the missing part, so
that a user sees all faults at once, each with the JSON pointer of its place.

The driver resolves the stored spec again, and builds the algorithm and the stopping rule from the same blueprint.
"""

from __future__ import annotations

from collections.abc import Iterator

from searchsvc.domain import JobSpec, Task
from searchsvc.errors import Fault, FaultCollector
from searchsvc.service.lookup import checks, supernets
from searchsvc.service.planning import pretraining, self_training
from searchsvc.service.planning.blueprint import Blueprint, make_proposer, shared_search
from searchsvc.service.planning.costs import ResolvedCosts, promised, resolve_costs
from searchsvc.service.planning.data import ResolvedData, resolve_data
from searchsvc.service.planning.methods import resolve_methods
from searchsvc.service.planning.names import find_task, resolve_names
from searchsvc.service.planning.sources import Sources
from searchsvc.settings import Settings
from searchsvc.spaces.costs.model import COUNTED
from searchsvc.store import Store


def resolve(spec: JobSpec, *, trusted: bool, settings: Settings, store: Store | None = None) -> Blueprint:
    """Look up everything that the spec names. Raises InvalidInput with all faults.

    `trusted`: files may be anywhere. `store`: holds the jobs whose networks the spec may name; None: no jobs.
    """
    faults = FaultCollector()
    spec = self_training.unfolded(spec)
    task = find_task(spec, faults)
    sources = Sources(settings, store, trusted, task)
    names = resolve_names(spec, task, faults)
    data = resolve_data(spec, task, names, sources, faults)
    spec = resolve_methods(data.spec if data else spec, task, faults)
    costs = resolve_costs(spec, names, data, settings, faults) if names and data else None
    if task is not None:
        faults.add(_metric_faults(spec, task, data, costs))
    if names:
        faults.add(pretraining.faults(spec, names.space, names.constants, names.task.default_parameters))
    faults.raise_any()
    assert costs is not None  # a stage is missing only after a fault
    blueprint = _blueprint(costs)
    _check_runnable(blueprint)
    return blueprint


def _metric_faults(
    spec: JobSpec, task: Task, data: ResolvedData | None, costs: ResolvedCosts | None
) -> Iterator[Fault]:
    metrics = costs.model.metrics if costs else COUNTED  # without a cost model, a message names the usual costs
    return checks.metric_faults(spec, task, (*metrics, *promised(spec)), data.dataset.unmeasured if data else {})


def _blueprint(costs: ResolvedCosts) -> Blueprint:
    names, data = costs.names, costs.data
    hard, outcome = costs.model.split(costs.spec.constraints)
    return Blueprint(
        spec=costs.spec,
        task=names.task,
        dataset=data.dataset,
        space=names.space,
        cost_model=costs.model,
        hard=hard,
        outcome=outcome,
        constants=names.constants,
        pretrained=data.pretrained,
        self_training=data.self_training,
    )


def _check_runnable(blueprint: Blueprint) -> None:
    """Raise InvalidInput if the algorithm refuses the space or the objectives, or the task refuses the supernet."""
    make_proposer(blueprint)
    search = shared_search(blueprint)
    if search is not None:
        supernets.check(blueprint.spec, blueprint.task, search, blueprint.constants, blueprint.dataset)

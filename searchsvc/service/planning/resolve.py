"""Resolve a spec into its blueprint, in stages: names, data, costs.

::

    find_task -> resolve_names -> resolve_data -> resolve_methods -> resolve_costs -> Blueprint

Each stage looks up the facts that the document alone does not contain, collects its faults, and passes a typed result
to the next stage. A fault does not end the later stages: they check whatever does not depend on the missing part, so
that a user sees all faults at once, each with the JSON pointer of its place. Faults of the document itself, such as a
text in place of a number, do not end them either.

The driver resolves the stored spec again, and builds the algorithm and the stopping rule from the same blueprint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace

from searchsvc.domain import JobSpec, Task
from searchsvc.domain.spec import section_of
from searchsvc.errors import Fault, FaultCollector, InvalidInput
from searchsvc.service.lookup import checks, supernets
from searchsvc.service.planning import pretraining, self_training
from searchsvc.service.planning.blueprint import Blueprint, make_proposer, shared_search
from searchsvc.service.planning.costs import ResolvedCosts, promised, resolve_costs
from searchsvc.service.planning.data import ResolvedData, resolve_data
from searchsvc.service.planning.methods import resolve_methods
from searchsvc.service.planning.names import find_task, resolve_names
from searchsvc.service.planning.reachability import check_reachable, examine
from searchsvc.service.planning.sources import Sources
from searchsvc.settings import Settings
from searchsvc.spaces.costs.model import COUNTED
from searchsvc.store import Store


def resolve(
    spec: JobSpec, *, trusted: bool, settings: Settings, store: Store | None = None, faults: Sequence[Fault] = ()
) -> Blueprint:
    """Look up everything that the spec names. Raises InvalidInput with all faults.

    `trusted`: files may be anywhere. `store`: holds the jobs whose networks the spec may name; None: no jobs. `faults`:
    faults of the document that was read; the sections that they are in are stand-ins, of which no fault is reported.
    """
    broken = frozenset(map(section_of, faults))
    found = FaultCollector()
    costs = _resolved(spec, broken, Sources(settings, store, trusted), found)
    further = [fault for fault in found.faults if section_of(fault) not in broken]
    if faults or further:
        raise InvalidInput(dict.fromkeys((*faults, *further)))
    assert costs is not None  # a stage is missing only after a fault
    blueprint = _blueprint(costs)
    _check_runnable(blueprint)
    return blueprint


def resolve_document(document: object, *, trusted: bool, settings: Settings, store: Store | None = None) -> Blueprint:
    """Read a spec and look up everything that it names. Raises InvalidInput with the faults of both."""
    spec, faults = JobSpec.read(document)
    return resolve(spec, trusted=trusted, settings=settings, store=store, faults=faults)


def _resolved(spec: JobSpec, broken: Set[str], sources: Sources, faults: FaultCollector) -> ResolvedCosts | None:
    """Run the stages as far as sections without faults allow."""

    def sound(*sections: str) -> bool:
        return broken.isdisjoint(sections)

    with faults.at():
        spec = self_training.unfolded(spec)
    task = find_task(spec, faults) if sound("task") else None
    sources = replace(sources, task=task)
    names = resolve_names(spec, task, faults) if sound("task", "space", "pretrained") else None
    trained = names if sound("self_training", "fidelity", "algorithm") else None
    data = resolve_data(spec, task, trained, sources, faults) if sound("dataset") else None
    spec = resolve_methods(data.spec if data else spec, task, faults, broken)
    costs = resolve_costs(spec, names, data, sources.settings, faults) if names and data else None
    if task is not None:
        faults.add(_metric_faults(spec, task, data, costs))
    if names:
        faults.add(pretraining.faults(spec, names.space, names.constants, names.task.default_parameters))
    if costs is not None and (faults.faults or broken) and sound("constraints"):
        faults.add(_unreachable(costs))  # without other faults, the plan examines it
    return costs


def _unreachable(costs: ResolvedCosts) -> Iterator[Fault]:
    """Yield a fault for every hard constraint that no candidate keeps."""
    spec = costs.spec
    hard, _ = costs.model.split(spec.constraints)
    if hard:
        found = examine(costs.names.space, costs.model, spec.constraints, hard, spec.seed).faults
        yield from (Fault("/constraints" + fault.pointer, fault.message) for fault in found)


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
    faults = FaultCollector()
    with faults.at():
        make_proposer(blueprint)
    with faults.at():
        search = shared_search(blueprint)
        if search is not None:
            supernets.check(blueprint.spec, blueprint.task, search, blueprint.constants, blueprint.dataset)
    if faults.faults:
        with faults.at():
            check_reachable(blueprint)
    faults.raise_any()

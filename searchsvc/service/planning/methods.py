"""The search methods of a spec: its algorithm, stopping rule and workers of a supernet; no dataset is needed."""

from __future__ import annotations

from collections.abc import Set

from searchsvc import algorithms
from searchsvc.algorithms import ALGORITHMS
from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain import JobSpec, Task
from searchsvc.errors import FaultCollector, InvalidInput, below
from searchsvc.service.lookup import supernets


def resolve_methods(
    spec: JobSpec, task: Task | None, faults: FaultCollector, broken: Set[str] = frozenset()
) -> JobSpec:
    """Check the algorithm, the stopping rule and the workers. Return the spec with its stopping rule named.

    `broken`: sections of the document with faults, from which no further faults are derived.
    """
    with faults.at("/algorithm"):
        options = algorithms.validate_options(spec.algorithm.name, spec.algorithm.options)
        spec = _with_stopping_rule(spec, options)
        if broken.isdisjoint(("objectives", "resources")):
            faults.add(supernets.spec_faults(spec, task))
    with faults.at():
        stopping_rule(spec, knows_epochs="fidelity" not in broken)
    if "algorithm" not in broken:
        faults.add(supernets.worker_faults(spec))
    return spec


def stopping_rule(spec: JobSpec, *, knows_epochs: bool = True) -> StoppingRule:
    """Build the stopping rule in its state before the first trial. Raises InvalidInput with pointers into the spec.

    `knows_epochs`: False if the epochs of the document are wrong, so that nothing can be compared with them.
    """
    rule, epochs = spec.stopping, spec.fidelity.epochs
    if knows_epochs and isinstance(first := rule.options.get("min_epochs"), int) and first > epochs:
        message = f"the rule would never act: a trial has {epochs} epochs (fidelity.epochs), fewer than {first}"
        raise InvalidInput.at("/stopping/min_epochs", message)
    with below("/stopping"):
        return algorithms.create_stopping_rule(
            rule.name, objectives=spec.objectives, fidelity=spec.fidelity, **rule.options
        )


def _with_stopping_rule(spec: JobSpec, options: MethodOptions) -> JobSpec:
    """Return the spec with the default stopping rule of the algorithm if the spec names none."""
    if "stopping" in spec.model_fields_set:
        return spec
    return spec.model_copy(update={"stopping": ALGORITHMS[spec.algorithm.name].stopping(options)})

"""The supernet of a job: its options, and the checks at submission of whether a supernet can be trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from searchsvc.algorithms import ALGORITHMS, validate_options
from searchsvc.domain import DatasetInfo, Integer, JobSpec, Scalar, SharedSearch, SupernetTask, Task
from searchsvc.domain.spec import InlineSpace
from searchsvc.errors import Fault, FaultCollector, InvalidInput
from searchsvc.service.lookup import checks
from searchsvc.service.lookup.task_calls import task_call
from searchsvc.spaces.bases import MOST_OPTIONS

_LEAST_TRIALS = 2


def options_of(spec: JobSpec) -> Mapping[str, Any] | None:
    """Return all options of an algorithm that shares weights, `epochs` as a number; None for other algorithms."""
    entry = ALGORITHMS[spec.algorithm.name]
    if not entry.shares_weights:
        return None
    options = validate_options(entry.name, spec.algorithm.options).model_dump()
    return {**options, "epochs": options["epochs"] or 2 * spec.fidelity.epochs}


def spec_faults(spec: JobSpec, task: Task | None) -> Iterator[Fault]:
    """Yield the faults of a spec whose algorithm shares weights; none for other algorithms."""
    name = spec.algorithm.name
    if not ALGORITHMS[name].shares_weights:
        return
    if spec.budget.trials < _LEAST_TRIALS:
        message = f"{name} takes one trial for its supernet and one for each candidate that it finds: at least 2"
        yield Fault("/budget/trials", message)
    if task is None:
        return
    if not isinstance(task, SupernetTask):
        others = ", ".join(entry.name for entry in ALGORITHMS.values() if not entry.shares_weights)
        yield Fault("/algorithm/name", f"{task.name} trains no supernets, which {name} needs; there are {others}")
    elif (metric := spec.objectives[0].metric) not in task.rewards and _is_metric(metric, task):
        message = f"a supernet of {task.name} is not scored by {metric}, but by {' or '.join(task.rewards)}"
        yield Fault("/objectives/0/metric", message)


def worker_faults(spec: JobSpec) -> Iterator[Fault]:
    """Yield a fault for several processes without a supernet, and for several processes with part of a GPU each."""
    resources, algorithm = spec.resources, ALGORITHMS.get(spec.algorithm.name)
    if resources.workers == 1:
        return
    if algorithm is not None and not algorithm.shares_weights:
        able = ", ".join(entry.name for entry in ALGORITHMS.values() if entry.shares_weights)
        message = f"several processes train a supernet, and {algorithm.name} has none: leave it at 1, or use {able}"
        yield Fault("/resources/workers", message)
    if 0 < resources.gpu < 1:
        message = f"each of {resources.workers} workers needs a GPU of its own: 1, or 0 to train on CPUs"
        yield Fault("/resources/gpu", message)


def check(spec: JobSpec, task: Task, search: SharedSearch, constants: Mapping[str, Scalar], data: DatasetInfo) -> None:
    """Let the task check the search of its supernet. Raises InvalidInput with pointers into the spec."""
    assert isinstance(task, SupernetTask)  # spec_faults reports any other task
    faults = FaultCollector()
    too_many = [*_too_many_options(search)]
    faults.add(too_many)
    if not too_many:  # the task would list all options
        with faults.at(), task_call(task.name, "check_search"):
            task.check_search(search.parameters, constants, data, search.options)
    try:
        faults.raise_any()
    except InvalidInput as error:
        raise InvalidInput(dict.fromkeys(_in_spec(fault, spec, search) for fault in error.faults)) from None


def _is_metric(name: str, task: Task) -> bool:
    return any(metric.name == name for metric in task.metrics)


def _too_many_options(search: SharedSearch) -> Iterator[Fault]:
    for parameter in search.parameters:
        if not isinstance(parameter, Integer):
            continue
        count = (parameter.high - parameter.low) // parameter.step + 1
        if count > MOST_OPTIONS:
            message = f"{parameter.name} has {count:,} values, each with a probability of its own"
            limit = f"{MOST_OPTIONS:,} at most; narrow it, or make it a basis"
            yield Fault(f"/space/{parameter.name}", f"{message}: {limit}")


def _in_spec(fault: Fault, spec: JobSpec, search: SharedSearch) -> Fault:
    """Move a fault of the parameter `/space/<name>` to the place in the spec that lists the parameter or may fix it."""
    section, _, name = fault.pointer[1:].partition("/")
    if section != "space":
        return fault
    if isinstance(spec.space, InlineSpace):
        return Fault(checks.pointer_of(spec.space, name), fault.message)
    is_searched = any(parameter.name == name for parameter in search.parameters)
    return Fault(f"/space/fix/{name}" if is_searched else "/space/name", fault.message)

"""The supernet of a job: its options, and whether there can be one: refused at submission, with what would be right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from searchsvc.algorithms import ALGORITHMS, validate_options
from searchsvc.domain import DatasetInfo, Integer, JobSpec, Scalar, SharedSearch, SupernetTask, Task
from searchsvc.domain.spec import InlineSpace
from searchsvc.errors import Fault
from searchsvc.service.lookup.checks import Faults
from searchsvc.spaces.bases import MOST_OPTIONS

_LEAST_TRIALS = 2


def options_of(spec: JobSpec) -> Mapping[str, Any] | None:
    """All options of the job's algorithm, `epochs` as a number; None where it trains each candidate by itself."""
    entry = ALGORITHMS[spec.algorithm.name]
    if not entry.shares_weights:
        return None
    options = validate_options(entry.name, spec.algorithm.options).model_dump()
    return {**options, "epochs": options["epochs"] or 2 * spec.fidelity.epochs}


def spec_faults(spec: JobSpec, task: Task | None) -> Iterator[Fault]:
    """What the spec of a job whose algorithm shares weights asks too much of; nothing for the other algorithms."""
    name = spec.algorithm.name
    if not ALGORITHMS[name].shares_weights:
        return
    if spec.budget.trials < _LEAST_TRIALS:
        message = f"{name} takes one trial for its supernet and one for each candidate that it finds: at least 2"
        yield Fault("/budget/trials", message)
    if task is None:
        return
    if not isinstance(task, SupernetTask):
        others = ", ".join(one.name for one in ALGORITHMS.values() if not one.shares_weights)
        yield Fault("/algorithm/name", f"{task.name} trains no supernets, which {name} needs; there are {others}")
    elif (metric := spec.objectives[0].metric) not in task.rewards and metric in {one.name for one in task.metrics}:
        message = f"a supernet of {task.name} is not scored by {metric}, but by {' or '.join(task.rewards)}"
        yield Fault("/objectives/0/metric", message)


def worker_faults(spec: JobSpec) -> Iterator[Fault]:
    """Several processes where no supernet is trained, or with less than a GPU for each."""
    wanted, algorithm = spec.resources, ALGORITHMS.get(spec.algorithm.name)
    if wanted.workers == 1:
        return
    if algorithm is not None and not algorithm.shares_weights:
        able = ", ".join(one.name for one in ALGORITHMS.values() if one.shares_weights)
        message = f"several processes train a supernet, and {algorithm.name} has none: leave it at 1, or use {able}"
        yield Fault("/resources/workers", message)
    if 0 < wanted.gpu < 1:
        message = f"each of {wanted.workers} workers needs a GPU of its own: 1, or 0 to train on CPUs"
        yield Fault("/resources/gpu", message)


def check(spec: JobSpec, task: Task, search: SharedSearch, constants: Mapping[str, Scalar], data: DatasetInfo) -> None:
    """Ask the task. Raises InvalidInput with pointers into the spec."""
    assert isinstance(task, SupernetTask)  # spec_faults has looked
    faults = Faults([*_too_many_options(search)])
    faults.collect(lambda: task.check_search(search.parameters, constants, data, search.options))
    faults.found = [_placed(fault, spec, search) for fault in faults.found]
    faults.raise_any()


def _too_many_options(search: SharedSearch) -> Iterator[Fault]:
    for one in search.parameters:
        if isinstance(one, Integer) and (count := (one.high - one.low) // one.step + 1) > MOST_OPTIONS:
            message = f"{one.name} has {count:,} values, each with a probability of its own: {MOST_OPTIONS:,} at most"
            yield Fault(f"/space/{one.name}", f"{message}; narrow it, or make it a basis")


def _placed(fault: Fault, spec: JobSpec, search: SharedSearch) -> Fault:
    """A fault of the parameter `/space/<name>` where the spec has that parameter, or may fix it."""
    section, _, name = fault.pointer[1:].partition("/")
    if section != "space":
        return fault
    if isinstance(spec.space, InlineSpace):
        place = next((f"/{index}" for index, one in enumerate(spec.space.parameters) if one.name == name), "")
        return Fault(f"/space/parameters{place}", fault.message)
    is_searched = any(one.name == name for one in search.parameters)
    return Fault(f"/space/fix/{name}" if is_searched else "/space/name", fault.message)

"""A driver that comes back to a job of 10,000 trials and 1,000,000 measurements, beside a job without any.

For every algorithm: CPU seconds from the stored trials to the first new candidate, and the memory that this takes, each
in a process of its own that has made its imports and proposed for an empty job before.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import resource
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import psutil

from benchmarks import scale_service
from benchmarks.ask import LISTS
from benchmarks.report import Row
from benchmarks.stores import fill
from searchsvc.algorithms import ALGORITHMS
from searchsvc.domain import DatasetInfo, JobSpec, Lease, Observation, Proposal
from searchsvc.service.planning.blueprint import Blueprint, make_proposer
from searchsvc.spaces import Space
from searchsvc.spaces.costs.model import NO_COSTS
from searchsvc.store import Store
from searchsvc.tasks import find

TRIALS, EPOCHS, EVENTS = 10_000, 100, 10_000_000
SECONDS, MEGABYTES = 10.0, 300.0
SLOW = ("gp",)
"""Algorithms without a bound: a Gaussian process is fitted to its whole window at each ask."""
_PARAMETERS = (
    {"type": "float", "name": "lr", "low": 1e-4, "high": 1.0, "log": True},
    {"type": "float", "name": "weight_decay", "low": 1e-6, "high": 1e-2, "log": True},
    {"type": "float", "name": "dropout", "low": 0.0, "high": 0.5},
    {"type": "integer", "name": "width", "low": 8, "high": 256, "log": True},
    {"type": "integer", "name": "depth", "low": 1, "high": 12},
    {"type": "categorical", "name": "optimizer", "choices": ["sgd", "adamw", "rmsprop"]},
)


@dataclass(frozen=True, slots=True)
class Return:
    """The cost of a driver's return to a job."""

    seconds: float
    """CPU seconds until the next candidate is proposed."""
    megabytes: float
    """Growth of the process at its largest."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"scale: trials of the job (default: {TRIALS:,})")
    parser.add_argument("--events", type=int, default=EVENTS, help=f"scale: events in the store (default: {EVENTS:,})")


def run(arguments: argparse.Namespace) -> list[Row]:
    rules = [("none", name) for name in ALGORITHMS if name not in LISTS]
    rules += [(rule, "random") for rule in ("asha", "median", "rank-correlation")]
    with tempfile.TemporaryDirectory(prefix="scale") as folder:
        url = f"sqlite:///{folder}/scale.db"
        Store.create(url).close()
        drivers = [_row(url, name, rule, arguments.trials) for rule, name in rules]
    return [*drivers, *scale_service.rows(arguments.events)]


def _row(url: str, name: str, rule: str, trials: int) -> Row:
    empty, full = _measured(url, name, rule, 0), _measured(url, name, rule, trials)
    what = f"{name}, {trials:,} trials" + ("" if rule == "none" else f", rule {rule}")
    growth = full.megabytes - empty.megabytes
    holds = None if name in SLOW else full.seconds <= SECONDS and growth <= MEGABYTES
    bound = "" if name in SLOW else f"{SECONDS:g} s, {MEGABYTES:g} MB more"
    return Row(what, _shown(full), f"{_shown(empty)}  no trials", None, bound, holds)


def _shown(cost: Return) -> str:
    return f"{cost.seconds:.2f} s, {cost.megabytes:.0f} MB"


def _measured(url: str, name: str, rule: str, trials: int) -> Return:
    context = mp.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_return, args=(url, name, rule, trials, sender))
    process.start()
    sender.close()
    try:
        return Return(*receiver.recv())
    finally:
        process.join()


def _return(url: str, name: str, rule: str, trials: int, sender: Connection) -> None:
    from workers.driver.recovery import recover

    store = Store.open(url)
    warm = _claimed(store, name, rule)
    recover(store, store.writer(warm), store.job(warm.job_id), _blueprint(store, warm)).next_trial(1, 10**9, idle=True)
    lease = _claimed(store, name, rule)
    context = mp.get_context("spawn")  # the process that fills the store would count
    filling = context.Process(target=_fill, args=(url, lease.job_id, trials))
    filling.start()
    filling.join()
    blueprint = _blueprint(store, lease)
    before, began = psutil.Process().memory_info().rss, _cpu_seconds()
    ledger = recover(store, store.writer(lease), store.job(lease.job_id), blueprint)
    assert ledger.existing == trials
    ledger.next_trial(1, 10**9, idle=True)
    seconds = _cpu_seconds() - began
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sender.send((seconds, max(0, largest - before) / 2**20))
    store.close()


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def _claimed(store: Store, name: str, rule: str) -> Lease:
    document = {
        "name": "scale",
        "task": "classification",
        "dataset": {"name": "digits"},
        "space": {"parameters": list(_PARAMETERS)},
        "objectives": [{"metric": "accuracy"}],
        "algorithm": {"name": name},
        "stopping": {"name": rule},
        "fidelity": {"epochs": EPOCHS},
        "budget": {"trials": 10_000_000},
    }
    job, _ = store.create_job(JobSpec.parse(document))
    claimed = store.claim_job(job.id, "bench", 36_000.0)
    assert claimed is not None
    return claimed[1]


def _blueprint(store: Store, lease: Lease) -> Blueprint:
    spec = store.job(lease.job_id).spec
    parameters: Any = spec.space
    return Blueprint(
        spec=spec,
        task=find(spec.task),
        dataset=DatasetInfo("nothing", (), (1, 1, 1), {}),
        space=Space(parameters.parameters),
        cost_model=NO_COSTS,
        hard=(),
        outcome=(),
        constants={},
    )


def _fill(url: str, job_id: str, trials: int) -> None:
    """Store trials that the algorithm itself has proposed: a replay of others would diverge at once."""
    if not trials:
        return
    store = Store.open(url)
    spec = store.job(job_id).spec
    blueprint = _blueprint(store, Lease(job_id, "", 0, 0.0))
    # The model-based algorithms replay any trials alike, and would take hours to propose as many.
    is_replayed_by_asking = spec.algorithm.name in ("nsga2", "cmaes")
    document = {**spec.document(), **({} if is_replayed_by_asking else {"algorithm": {"name": "random"}})}
    source = _proposals(blueprint, JobSpec.parse(document), trials)
    fill(url, job_id, trials, propose=lambda _: next(source), steps=EPOCHS)
    store.close()


def _proposals(blueprint: Blueprint, spec: JobSpec, trials: int) -> Iterator[Proposal]:
    proposer = make_proposer(replace(blueprint, spec=spec))
    for number in range(trials):
        [proposal] = proposer.propose(1)
        yield proposal
        failed = number % 10 == 0
        metrics = None if failed else {"accuracy": (number * 7919 % trials) / trials}
        proposer.tell(number, Observation(proposal.candidate, metrics, step=5))

"""From a space to a latency table: its operators timed on this device, their sums checked against whole networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from searchsvc import tasks
from searchsvc.domain import DatasetInfo, TimedTask
from searchsvc.errors import InvalidInput
from searchsvc.service.latency.timing import Bench, Clock, Progress, time_networks, time_operators, typical
from searchsvc.spaces import catalogue, networks
from searchsvc.spaces.catalogue import ShippedSpace
from searchsvc.spaces.costs.latency import LATENCY, LatencyTable, NetworkCheck, TimedOperator
from searchsvc.spaces.costs.latency_fit import fitted
from searchsvc.spaces.costs.operators import Operator


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a table is to be of."""

    space: str
    info: DatasetInfo
    device: str = "cpu"
    """`cpu` or `cuda`."""
    batch: int = 1
    threads: int = 1
    seconds: float = 120.0
    """To time operators in; to build them, and the check, come on top."""
    networks: int = 20
    """Random candidates that the check times as a whole; 0: no check."""


def measure(wanted: Wanted, *, date: str, clock: Clock, progress: Progress) -> LatencyTable:
    """A table of this device. Raises NotFound (no such space), InvalidInput (no such device, networks not timed)."""
    if wanted.networks == 1:
        raise InvalidInput.at("/check", "one network tells nothing of ranks and errors: take 2 or more, or 0")
    shipped = catalogue.find(wanted.space)
    operators = networks.operators_for(shipped.space, wanted.info, shipped.constants)
    bench = _bench(shipped, wanted)
    progress(f"{len(operators):,} operators of {wanted.space} on {bench.device.name}")
    samples = time_operators(bench, operators, seconds=wanted.seconds, clock=clock, progress=progress)
    table = LatencyTable(
        space=wanted.space,
        shape=wanted.info.shape,
        classes=len(wanted.info.classes),
        batch=wanted.batch,
        device=bench.device,
        date=date,
        scale=1.0,
        check=None,
        operators=tuple(_timed(operators, samples)),
    )
    if not wanted.networks:
        return table
    progress(f"{wanted.networks} whole networks, to check the sums")
    return _checked(table, shipped, wanted, bench)


def compare(estimated: Sequence[float], measured: Sequence[float]) -> NetworkCheck:
    """How well sums of operators tell the times of networks, in milliseconds. At least 2 networks."""
    sums, times = np.array(estimated), np.array(measured)
    ratios = times / sums
    others = np.array([np.median(np.delete(ratios, one)) for one in range(len(ratios))])
    plain, scaled = np.abs(sums / times - 1.0), np.abs(others * sums / times - 1.0)
    return NetworkCheck(
        networks=len(sums),
        rank_correlation=float(spearmanr(sums, times).statistic),
        median_error=float(np.median(plain)),
        error_90=float(np.quantile(plain, 0.9)),
        scaled_median_error=float(np.median(scaled)),
        scaled_error_90=float(np.quantile(scaled, 0.9)),
        estimated=tuple(sums.tolist()),
        measured=tuple(times.tolist()),
    )


def _bench(shipped: ShippedSpace, wanted: Wanted) -> Bench:
    task = tasks.find(shipped.task)
    if not isinstance(task, TimedTask):
        raise InvalidInput.at("/space", f"the task {shipped.task} cannot time its networks")
    bench: Bench = task.latency_bench(wanted.info, device=wanted.device, batch=wanted.batch, threads=wanted.threads)
    return bench


def _timed(operators: Sequence[Operator], samples: dict[Operator, list[float]]) -> list[TimedOperator]:
    """All operators: those that were timed, and a fit of the others to them."""
    measured = {one: typical(times) for one, times in samples.items()}
    times = {**measured, **fitted(measured, [one for one in operators if one not in measured])}
    return [
        TimedOperator(operator=one, milliseconds=times[one], samples=len(samples.get(one, ()))) for one in operators
    ]


def _checked(table: LatencyTable, shipped: ShippedSpace, wanted: Wanted, bench: Bench) -> LatencyTable:
    """The table with its check, and the scale that this gives."""
    matrix = shipped.space.sample(wanted.networks, np.random.default_rng(0))
    candidates = [{**shipped.constants, **one.values} for one in shipped.space.from_matrix(matrix)]
    estimated = networks.latency_for(shipped.space, wanted.info, shipped.constants, table)(matrix)[LATENCY]
    measured = time_networks(bench, candidates)
    check = compare(estimated.tolist(), measured)
    return table.model_copy(update={"check": check, "scale": float(np.median(np.array(measured) / estimated))})

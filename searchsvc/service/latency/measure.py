"""Measurement of a latency table: the operators of a space timed on this device, their sums checked on networks."""

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
class TableRequest:
    """The space, dataset, device and effort of a table to measure."""

    space: str
    info: DatasetInfo
    device: str = "cpu"
    """`cpu` or `cuda`."""
    batch: int = 1
    threads: int = 1
    seconds: float = 120.0
    """Seconds for timing operators; building them and the check take additional time."""
    networks: int = 20
    """Number of random candidates that the check times as whole networks; 0: no check."""


def measure(request: TableRequest, *, date: str, clock: Clock, progress: Progress) -> LatencyTable:
    """Return a latency table of this device.

    Raises NotFound (unknown space) and InvalidInput (unknown device, or networks that cannot be timed).
    """
    if request.networks == 1:
        raise InvalidInput.at("/check", "one network is not enough for ranks and errors: take 2 or more, or 0")
    shipped = catalogue.find(request.space)
    operators = networks.operators_for(shipped.space, request.info, shipped.constants)
    bench = _bench(shipped, request)
    progress(f"{len(operators):,} operators of {request.space} on {bench.device.name}")
    samples = time_operators(bench, operators, seconds=request.seconds, clock=clock, progress=progress)
    table = LatencyTable(
        space=request.space,
        shape=request.info.shape,
        classes=len(request.info.classes),
        batch=request.batch,
        device=bench.device,
        date=date,
        scale=1.0,
        check=None,
        operators=tuple(_timed(operators, samples)),
    )
    if not request.networks:
        return table
    progress(f"{request.networks} whole networks, to check the sums")
    return _checked(table, shipped, request, bench)


def compare(estimated: Sequence[float], measured: Sequence[float]) -> NetworkCheck:
    """Return the agreement of sums of operator times with times of at least 2 networks, both in milliseconds."""
    sums, times = np.array(estimated), np.array(measured)
    ratios = times / sums
    others = np.array([np.median(np.delete(ratios, index)) for index in range(len(ratios))])
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


def _bench(shipped: ShippedSpace, request: TableRequest) -> Bench:
    task = tasks.find(shipped.task)
    if not isinstance(task, TimedTask):
        raise InvalidInput.at("/space", f"the task {shipped.task} cannot time its networks")
    bench: Bench = task.latency_bench(request.info, device=request.device, batch=request.batch, threads=request.threads)
    return bench


def _timed(operators: Sequence[Operator], samples: dict[Operator, list[float]]) -> list[TimedOperator]:
    """Return all operators: with their measured time, or with a time fitted to the measured operators."""
    measured = {operator: typical(times) for operator, times in samples.items()}
    times = {**measured, **fitted(measured, [operator for operator in operators if operator not in measured])}
    return [
        TimedOperator(operator=operator, milliseconds=times[operator], samples=len(samples.get(operator, ())))
        for operator in operators
    ]


def _checked(table: LatencyTable, shipped: ShippedSpace, request: TableRequest, bench: Bench) -> LatencyTable:
    """Return the table with its check and the resulting scale."""
    matrix = shipped.space.sample(request.networks, np.random.default_rng(0))
    candidates = [{**shipped.constants, **candidate.values} for candidate in shipped.space.from_matrix(matrix)]
    estimated = networks.latency_for(shipped.space, request.info, shipped.constants, table)(matrix)[LATENCY]
    measured = time_networks(bench, candidates)
    check = compare(estimated.tolist(), measured)
    return table.model_copy(update={"check": check, "scale": float(np.median(np.array(measured) / estimated))})

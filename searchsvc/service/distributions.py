"""Distributions: what the controller of a job's supernet makes of each parameter, by the last that it measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from searchsvc.domain import Basis, Categorical, Integer, Job, Measurement, Parameter, Scalar, Trial
from searchsvc.errors import Conflict
from searchsvc.service import checks, supernets
from searchsvc.spaces import with_bases
from searchsvc.store import Store


@dataclass(frozen=True, slots=True)
class Distribution:
    """Of one parameter, whatever the others are."""

    parameter: str
    options: tuple[Scalar, ...]
    """Choices, whole numbers, or the values of a basis (which a range of numbers becomes)."""
    probabilities: tuple[float, ...]
    entropy: float
    """In nats: 0 where one option has it all, ln(options) at first."""


@dataclass(frozen=True, slots=True)
class Distributions:
    """A supernet as it stands."""

    trial: Trial
    step: int
    steps: int
    """Measurements that it is to have in all."""
    metrics: Mapping[str, float]
    """What it measured of the whole: reward, entropy, baseline, ..."""
    parameters: tuple[Distribution, ...]


def distributions(store: Store, job: Job) -> Distributions:
    """Raises Conflict where the job has no supernet, or where that has measured nothing yet."""
    options = supernets.options_of(job.spec)
    if options is None:
        raise Conflict(f"job {job.name} has no supernet: {job.spec.algorithm.name} trains each candidate by itself")
    trials = [trial for trial in store.supernets(job.id) if trial.step]
    if not trials:
        raise Conflict(f"the supernet of job {job.name} has measured nothing yet")
    last = store.measurements(trials[-1].id)[-1]
    space = with_bases(checks.space_of(job.spec, None), options["basis_values"])
    return Distributions(
        trial=trials[-1],
        step=last.step,
        steps=options["epochs"] * options["logs_per_epoch"],
        metrics={name: value for name, value in last.metrics.items() if "/" not in name},
        parameters=tuple(_distributions(space.parameters, last)),
    )


def _distributions(parameters: tuple[Parameter, ...], last: Measurement) -> Iterator[Distribution]:
    for one in parameters:
        options = _options(one)
        probabilities = tuple(last.metrics[f"p/{one.name}/{index}"] for index in range(len(options)))
        yield Distribution(one.name, options, probabilities, last.metrics[f"entropy/{one.name}"])


def _options(parameter: Parameter) -> tuple[Scalar, ...]:
    if isinstance(parameter, Categorical):
        return parameter.choices
    if isinstance(parameter, Integer):
        return tuple(range(parameter.low, parameter.high + 1, parameter.step))
    assert isinstance(parameter, Basis)  # with_bases leaves no others
    return parameter.values

"""Distributions that the controller of a job's supernet has learned, one per parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from searchsvc.domain import Basis, Categorical, Integer, Job, Measurement, Parameter, Scalar, Trial
from searchsvc.errors import Conflict
from searchsvc.service.lookup import checks, supernets
from searchsvc.service.results.columns import sample
from searchsvc.spaces import with_bases
from searchsvc.store import Store


@dataclass(frozen=True, slots=True)
class Distribution:
    """The marginal distribution over the options of a parameter."""

    parameter: str
    options: tuple[Scalar, ...]
    """Choices, integers, or the values of a basis (which represents a range of real numbers)."""
    probabilities: tuple[float, ...]
    entropy: float
    """In nats: 0 if a single option has all the probability, ln(number of options) at the start."""


@dataclass(frozen=True, slots=True)
class Distributions:
    """The state of a supernet at its last measurement."""

    trial: Trial
    step: int
    steps: int
    """Number of measurements at the end of its training."""
    metrics: Mapping[str, float]
    """Metrics of the supernet itself: reward, entropy, baseline, ..."""
    parameters: tuple[Distribution, ...]


@dataclass(frozen=True, slots=True)
class Learning:
    """The distributions of a supernet over its steps."""

    trial: Trial
    steps: tuple[int, ...]
    metrics: Mapping[str, tuple[float | None, ...]]
    """Metrics of the supernet itself by name: a value per step, None if it was not measured."""
    parameters: Mapping[str, tuple[Distribution, ...]]
    """Parameters by name: a distribution per step."""


def distributions(store: Store, job: Job) -> Distributions:
    """Return the distributions at the last step. Raises Conflict if no supernet of the job has a measurement."""
    trial, options = _supernet(store, job)
    last = store.measurements(trial.id)[-1]
    return Distributions(
        trial=trial,
        step=last.step,
        steps=options["epochs"] * options["logs_per_epoch"],
        metrics=_whole(last),
        parameters=tuple(_distributions(_parameters(job, options), last)),
    )


def learning(store: Store, job: Job, most: int) -> Learning:
    """Return the distributions at no more than `most` steps, evenly chosen, including the last step.

    Raises Conflict if no supernet of the job has a measurement.
    """
    trial, options = _supernet(store, job)
    measured = store.measurements(trial.id)
    chosen = [measured[place] for place in sample(len(measured), most)]
    by_step = [list(_distributions(_parameters(job, options), measurement)) for measurement in chosen]
    names = dict.fromkeys(name for measurement in chosen for name in _whole(measurement))
    return Learning(
        trial=trial,
        steps=tuple(measurement.step for measurement in chosen),
        metrics={name: tuple(measurement.metrics.get(name) for measurement in chosen) for name in names},
        parameters={of_steps[0].parameter: of_steps for of_steps in zip(*by_step, strict=True)},
    )


def _supernet(store: Store, job: Job) -> tuple[Trial, Mapping[str, Any]]:
    """Return the last supernet with a measurement, and the options of its algorithm."""
    options = supernets.options_of(job.spec)
    if options is None:
        raise Conflict(f"job {job.name} has no supernet: {job.spec.algorithm.name} trains each candidate by itself")
    trials = [trial for trial in store.supernets(job.id) if trial.step]
    if not trials:
        raise Conflict(f"the supernet of job {job.name} has measured nothing yet")
    return trials[-1], options


def _parameters(job: Job, options: Mapping[str, Any]) -> tuple[Parameter, ...]:
    return with_bases(checks.space_of(job.spec, None), options["basis_values"]).parameters


def _whole(measurement: Measurement) -> dict[str, float]:
    """Return the metrics of the supernet itself, without the metrics of its parameters."""
    return {name: value for name, value in measurement.metrics.items() if "/" not in name}


def _distributions(parameters: tuple[Parameter, ...], last: Measurement) -> Iterator[Distribution]:
    for parameter in parameters:
        name, options = parameter.name, _options(parameter)
        probabilities = tuple(last.metrics[f"p/{name}/{index}"] for index in range(len(options)))
        yield Distribution(name, options, probabilities, last.metrics[f"entropy/{name}"])


def _options(parameter: Parameter) -> tuple[Scalar, ...]:
    if isinstance(parameter, Categorical):
        return parameter.choices
    if isinstance(parameter, Integer):
        return tuple(range(parameter.low, parameter.high + 1, parameter.step))
    assert isinstance(parameter, Basis)  # with_bases leaves no others
    return parameter.values

"""Distributions: what the controller of a job's supernet makes of each parameter, by the last that it measured."""

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


@dataclass(frozen=True, slots=True)
class Learning:
    """What a supernet learned of each parameter, over its steps."""

    trial: Trial
    steps: tuple[int, ...]
    metrics: Mapping[str, tuple[float | None, ...]]
    """Of the whole, by name: a value for each step, None where it was not measured."""
    parameters: Mapping[str, tuple[Distribution, ...]]
    """By name: a distribution for each step."""


def distributions(store: Store, job: Job) -> Distributions:
    """Raises Conflict where the job has no supernet, or where that has measured nothing yet."""
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
    """At `most` so many steps, evenly chosen, the last among them. Raises Conflict as `distributions` does."""
    trial, options = _supernet(store, job)
    measured = store.measurements(trial.id)
    chosen = [measured[place] for place in sample(len(measured), most)]
    by_step = [list(_distributions(_parameters(job, options), one)) for one in chosen]
    names = dict.fromkeys(name for one in chosen for name in _whole(one))
    return Learning(
        trial=trial,
        steps=tuple(one.step for one in chosen),
        metrics={name: tuple(one.metrics.get(name) for one in chosen) for name in names},
        parameters={of_steps[0].parameter: of_steps for of_steps in zip(*by_step, strict=True)},
    )


def _supernet(store: Store, job: Job) -> tuple[Trial, Mapping[str, Any]]:
    """The last one that has measured something, and the options of its algorithm."""
    options = supernets.options_of(job.spec)
    if options is None:
        raise Conflict(f"job {job.name} has no supernet: {job.spec.algorithm.name} trains each candidate by itself")
    trials = [trial for trial in store.supernets(job.id) if trial.step]
    if not trials:
        raise Conflict(f"the supernet of job {job.name} has measured nothing yet")
    return trials[-1], options


def _parameters(job: Job, options: Mapping[str, Any]) -> tuple[Parameter, ...]:
    return with_bases(checks.space_of(job.spec, None), options["basis_values"]).parameters


def _whole(measured: Measurement) -> dict[str, float]:
    """What was measured of the supernet itself."""
    return {name: value for name, value in measured.metrics.items() if "/" not in name}


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

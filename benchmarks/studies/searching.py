"""A whole search in a single process, trial after trial: a job without a store, a driver or Ray.

Two searches at once thus use two cores fully, and the result depends on nothing but the seed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

import workers.autohas.run
from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain import (
    Candidate,
    Decision,
    JobSpec,
    Measurement,
    Observation,
    Proposal,
    Scalar,
    TrialKind,
    TrialState,
    TrialTask,
    best_measurement,
)
from searchsvc.service.planning.blueprint import Blueprint, make_proposer, make_stopping_rule, shared_search
from searchsvc.service.planning.resolve import resolve
from searchsvc.settings import Settings
from searchsvc.tasks import find
from workers.trials.run_trial import run_trial

_RESULTS = (TrialState.SUCCEEDED, TrialState.STOPPED)


@dataclass(frozen=True, slots=True)
class Trained:
    """A trial that has ended."""

    number: int
    values: dict[str, Scalar]
    """Values of its candidate and of the constants of its space."""
    costs: dict[str, float]
    metrics: dict[str, float] | None
    """Metrics of its best epoch; None if it failed."""
    epochs: int
    """Number of epochs that it was trained."""
    in_full: bool
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def blueprint_of(document: Mapping[str, Any], folder: Path) -> Blueprint:
    """Return the spec with all its names looked up."""
    return resolve(JobSpec.parse(document), trusted=True, settings=Settings(data_dir=folder))


def search(document: Mapping[str, Any], folder: Path) -> list[Trained]:
    """Run all trials of the job that `document` describes; their files are kept in `folder` by number."""
    torch.set_num_threads(1)
    blueprint = blueprint_of(document, folder)
    proposer, rule = make_proposer(blueprint), make_stopping_rule(blueprint)
    budget, trials = blueprint.spec.budget.trials, list[Trained]()
    while len(trials) < budget and (proposals := proposer.propose(1, budget=budget)):
        trained, observation = _train(blueprint, rule, len(trials), proposals[0], folder)
        proposer.tell(trained.number, observation)
        trials.append(trained)
    return trials


def train(blueprint: Blueprint, values: Mapping[str, Scalar], seed: int, folder: Path) -> dict[str, float]:
    """Train a network in full and return the metrics of its best epoch."""
    torch.set_num_threads(1)
    history = list[Measurement]()

    def report(measurement: Measurement) -> Decision:
        history.append(measurement)
        return Decision.CONTINUE

    outcome = run_trial(_task(blueprint, values, seed, folder), report)
    if outcome.state not in _RESULTS:
        raise RuntimeError(outcome.message)
    best = best_measurement(history, blueprint.spec.objectives[0])
    assert best is not None
    return dict(best.metrics)


def fixed_values(blueprint: Blueprint) -> dict[str, Scalar]:
    """Return the values fixed by the job of `blueprint`: genes of its space, and the constants of the space."""
    return {**blueprint.constants, **blueprint.spec.space.fix}


def shared_rewards(blueprint: Blueprint, candidates: Sequence[Candidate], folder: Path) -> list[float]:
    """Return rewards of candidates with the weights of the blueprint's supernet, which is trained in `folder`."""
    torch.set_num_threads(1)
    task = _supernet(blueprint, _task(blueprint, blueprint.constants, blueprint.spec.seed, folder))
    for _ in workers.autohas.run.search(task):
        pass
    return workers.autohas.run.shared_rewards(task, candidates)


def test(blueprint: Blueprint, trial: Trained, folder: Path) -> Mapping[str, float]:
    """Return metrics of the trial's best weights on the test split."""
    return find(blueprint.spec.task).test(_task(blueprint, trial.values, 0, folder / str(trial.number)))


def best_within(trials: Sequence[Trained], metric: str, limit: float) -> Trained | None:
    """Return the trial with the best accuracy among those whose cost `metric` is within `limit`."""
    able = [one for one in trials if one.metrics is not None and one.costs[metric] <= limit]
    return max(able, key=lambda one: one.metrics["accuracy"] if one.metrics else 0.0, default=None)


def _train(
    blueprint: Blueprint, rule: StoppingRule, number: int, proposal: Proposal, folder: Path
) -> tuple[Trained, Observation]:
    history, started = list[Measurement](), time.monotonic()

    def report(measurement: Measurement) -> Decision:
        history.append(measurement)
        seen = Measurement(measurement.step, {**proposal.costs, **measurement.metrics}, measurement.seconds)
        return rule.report(number, seen) if proposal.may_be_stopped else Decision.CONTINUE

    values = {**blueprint.constants, **proposal.candidate.values}
    task = _task(blueprint, values, blueprint.spec.seed + number, folder / str(number))
    outcome = run_trial(_supernet(blueprint, task) if proposal.kind is TrialKind.SUPERNET else task, report)
    best = best_measurement(history, blueprint.spec.objectives[0]) or next(reversed(history), None)
    metrics = {**proposal.costs, **best.metrics} if best is not None and outcome.state in _RESULTS else None
    stopped = outcome.state is TrialState.STOPPED
    observation = Observation(
        proposal.candidate, metrics, outcome.failure, len(history), stopped, history=tuple(history)
    )
    seconds = time.monotonic() - started
    trained = Trained(number, values, dict(proposal.costs), metrics, len(history), proposal.in_full, seconds)
    return trained, observation


def _supernet(blueprint: Blueprint, task: TrialTask) -> TrialTask:
    search = shared_search(blueprint)
    assert search is not None
    return replace(task, search=search, fidelity=task.fidelity.model_copy(update={"epochs": search.options["epochs"]}))


def _task(blueprint: Blueprint, values: Mapping[str, Scalar], seed: int, directory: Path) -> TrialTask:
    spec = blueprint.spec
    return TrialTask(
        trial_id=directory.name,
        attempt=1,
        task=spec.task,
        dataset=spec.dataset.model_dump(mode="json"),
        values=values,
        fidelity=spec.fidelity,
        objective=spec.objectives[0],
        seed=seed,
        directory=str(directory),
        pretrained=blueprint.pretrained,
        self_training=blueprint.self_training,
    )

"""The trial of a supernet, from its task to its measurements and to the finalists, which become trials of their own.

At each measurement, in this order: the checkpoint (`last.pt`), which contains all measurements so far, is written
together with the distributions (`distributions.json`); then the measurement is yielded. So a kill costs at most the
time since the last measurement.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from searchsvc.domain.candidates import Candidate
from searchsvc.domain.metrics import Measurement
from searchsvc.domain.trial_task import SharedSearch, TrialTask
from searchsvc.errors import FailureKind, NotFound, TrialFailed
from searchsvc.spaces import networks
from searchsvc.spaces.bases import with_bases
from searchsvc.spaces.space import Space
from workers.autohas import classification, detection
from workers.autohas.batch_plan import BatchPlan
from workers.autohas.controllers import Differentiable, Reinforce, StepReport
from workers.autohas.distributions import Draw, ParameterDistributions
from workers.autohas.exchange import Exchange, SingleProcess
from workers.autohas.finalists import Finalist, finalists, mean_reward, report
from workers.autohas.limits import CostLimits, FeasibleSampler
from workers.autohas.task_interface import SearchSetup
from workers.autohas.trainer import SupernetTrainer
from workers.training.checkpoint import Checkpoints
from workers.training.recipe import Recipe
from workers.training.schedule import Schedule
from workers.training.trial import device_of, fingerprint
from workers.trials.files import DISTRIBUTIONS

_KERNELS, _CACHED_KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "10000"
"""oneDNN compiles code for each shape of a convolution and caches 1024 of them: too few for the shapes of a space."""
_SETUPS: Mapping[str, Callable[[TrialTask, Space, torch.device], SearchSetup]] = MappingProxyType(
    {"classification": classification.search_setup, "detection": detection.search_setup}
)
"""By task."""


def search(
    task: TrialTask,
    exchange: Exchange = SingleProcess(),  # noqa: B008 - a constant
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Measurement]:
    """See `SupernetTask.search`. Raises TrialFailed (DIVERGED, INFEASIBLE), InvalidInput if the task is invalid."""
    keep_kernels()
    start = clock()
    run, checkpoints = _Search(task, exchange), Checkpoints(Path(task.directory), writes=exchange.rank == 0)
    measured = run.resume(checkpoints)
    before = measured[-1].seconds if measured else 0.0
    yield from [measurement for measurement in measured if measurement.step > task.stored_step]
    for log in range(len(measured) + 1, run.logs + 1):
        metrics = run.train_to(log)
        best = run.finalists() if log == run.logs else []
        measured.append(Measurement(log, {**metrics, **report(best)}, before + clock() - start))
        run.save(checkpoints, measured, best)
        if log > task.stored_step:
            yield measured[-1]


def keep_kernels() -> None:
    """Let oneDNN cache code for more shapes, unless the environment sets the number.

    Call it before the first convolution.
    """
    os.environ.setdefault(_KERNELS, _CACHED_KERNELS)


def shared_rewards(task: TrialTask, candidates: Sequence[Candidate]) -> list[float]:
    """Return rewards of candidates with the unchanged weights of the task's last checkpoint, on all validation images.

    Raises NotFound if there is no such checkpoint.
    """
    run = _Search(task, SingleProcess())
    if not run.resume(Checkpoints(Path(task.directory))):
        raise NotFound(f"no checkpoint of this search in {task.directory}")
    return [run.shared_reward(candidate) for candidate in candidates]


class _Search:
    """Everything that a search trains, between measurements."""

    def __init__(self, task: TrialTask, exchange: Exchange) -> None:
        assert task.search is not None
        self._task, self._options, self._exchange = task, task.search.options, exchange
        space = with_bases(Space(task.search.parameters), self._options["basis_values"])
        setup = _SETUPS[task.task](task, space, device_of(task))
        spreads = {name: self._options[name] for name in ("spread", "last_spread", "temperature")}
        distributions = ParameterDistributions(space, **spreads)
        self._sampler = FeasibleSampler(distributions, CostLimits.of(task.search))
        self._trainer = SupernetTrainer(setup.network, space, setup.losses, task.values, score=task.objective.metric)
        self._plan = BatchPlan(
            setup.train,
            setup.validation,
            self._options,
            exchange,
            seed=task.seed,
            batch_size=self._trainer.batch_size,
            epochs=task.fidelity.epochs,
        )
        self.logs = task.fidelity.epochs * self._options["logs_per_epoch"]
        """Number of measurements of the whole search."""
        self._schedule = _schedule(task, self._plan.steps_per_epoch)
        self._controller = _controller(self._options, distributions, self._sampler, exchange, self._plan.total)
        self._metrics = _StepMetrics(exchange)
        exchange.same(self._trainer.flat_state)

    def train_to(self, log: int) -> dict[str, float]:
        """Train up to measurement 1, 2, ... and return its metrics."""
        losses, reports = [], []
        rejected, skipped = self._sampler.rejected, self._trainer.skipped
        steps = self._plan.steps_of(log)
        validation = self._plan.validation(steps)
        for step, batch in zip(steps, self._plan.training(steps), strict=True):
            random = self._plan.draws(step)
            self._trainer.rate_scale = self._schedule.rate(step)
            if self._plan.is_controlled(step):
                reports.append(self._controller.step(self._trainer, batch, next(validation), random))
            loss = self._trainer.train(self._sampler(1, random)[0], batch)
            self._exchange.mean(self._trainer.flat_state)
            losses += [] if loss is None else [loss]
        self._metrics.add(losses, self._sampler.rejected - rejected, self._trainer.skipped - skipped, reports)
        return {**self._metrics.latest, **_distribution_metrics(self._controller.distributions)}

    def finalists(self) -> list[Finalist]:
        """Return the derived candidate and the best draws, best first."""
        assert self._task.search is not None
        random = self._plan.final_draws()
        return finalists(
            self._trainer,
            self._sampler,
            Space(self._task.search.parameters),
            self._options,
            self._plan.final_training(),
            self._plan.whole_validation,
            random,
            self._exchange,
        )

    def shared_reward(self, candidate: Candidate) -> float:
        """Return a candidate's reward with the shared weights, on all validation images."""
        draw = Draw(candidate, {})
        return mean_reward(self._trainer, draw, self._trainer.shared_weights(draw), self._plan.whole_validation())

    def resume(self, checkpoints: Checkpoints) -> list[Measurement]:
        """Restore the checkpoint and return the measurements up to it; return none if the search starts over."""
        state = checkpoints.load(self._trainer.flat_state.device)
        if state is not None and state["trial"] != _fingerprint(self._task, self._exchange):
            state = None
        self._check_agreement(len(state["measured"]) if state else 0)
        if state is None:
            return []
        self._trainer.restore(state["learner"])
        self._controller.restore(state["controller"])
        self._metrics.latest = dict(state["seen"])
        return [Measurement(*row) for row in state["measured"]]

    def save(self, checkpoints: Checkpoints, measured: list[Measurement], best: list[Finalist]) -> None:
        """Write the distributions, the finalists and the checkpoint, as rank 0."""
        if self._exchange.rank:
            return
        content = json.dumps(_document(self._controller.distributions, best), indent=2)
        state = {
            "trial": _fingerprint(self._task, self._exchange),
            "learner": self._trainer.state(),
            "controller": self._controller.state(),
            "seen": self._metrics.latest,
            "measured": [(row.step, dict(row.metrics), row.seconds) for row in measured],
        }
        checkpoints.save(state, measured[-1].step, {DISTRIBUTIONS: content.encode()})

    def _check_agreement(self, measured: int) -> None:
        """Raise TrialFailed if processes would continue from different checkpoints."""
        (total,) = _totals(self._exchange, measured)
        if total != measured * self._exchange.size:
            message = "the processes of this search see different checkpoints: its directory must be one that all share"
            raise TrialFailed(FailureKind.ERROR, message)


class _StepMetrics:
    """Metrics of the steps: means since the last measurement, and counts since the start of the search."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.latest = {"rejected": 0.0, "skipped": 0.0}
        """Metrics of the last measurement; a mean without new values keeps its value."""

    def add(self, losses: Sequence[float], rejected: int, skipped: int, reports: Sequence[StepReport]) -> None:
        """Add the steps since the last measurement, of all processes."""
        loss, count, *counts = _totals(self._exchange, sum(losses), len(losses), rejected, skipped)
        if count:
            self.latest["train_loss"] = loss / count
        self.latest["rejected"] += counts[0]
        self.latest["skipped"] += counts[1]
        scores = [step.score for step in reports if step.score is not None]
        if scores:
            self.latest["reward"] = sum(scores) / len(scores)
            if reports[-1].baseline is not None:
                self.latest["baseline"] = reports[-1].baseline


def _totals(exchange: Exchange, *values: float) -> list[float]:
    """Return the sum of each value over all processes."""
    numbers = torch.tensor(values, dtype=torch.float64)  # (values,)
    exchange.mean(numbers)
    return [float(total) for total in numbers * exchange.size]


def _schedule(task: TrialTask, steps: int) -> Schedule:
    """Return the schedule of the factor that multiplies learning rates, from the constants of the recipe."""
    recipe = Recipe.of(networks.complete(task.values, task.task))
    return replace(Schedule.of(recipe, task.fidelity.epochs, steps), peak=1.0)


def _controller(
    options: Mapping[str, Any],
    distributions: ParameterDistributions,
    sampler: FeasibleSampler,
    exchange: Exchange,
    total: int,
) -> Reinforce | Differentiable:
    arguments: Any = {
        "steps": math.ceil(total / options["controller_every"]),
        "sampler": sampler,
        "exchange": exchange,
        **{name: options[name] for name in ("samples", "learning_rate", "frozen_share")},
    }
    if options["variant"] == "differentiable":
        return Differentiable(distributions, **arguments)
    return Reinforce(distributions, baseline_momentum=options["baseline_momentum"], **arguments)


def _distribution_metrics(distributions: ParameterDistributions) -> dict[str, float]:
    entropies = distributions.entropies()
    shares = {
        f"p/{name}/{option}": float(share)
        for name, logits in distributions.by_name().items()
        for option, share in enumerate(logits.detach().softmax(0))  # (k,)
    }
    each = {f"entropy/{name}": entropy for name, entropy in entropies.items()}
    return {"entropy": sum(entropies.values()), **each, **shares}


def _document(distributions: ParameterDistributions, best: list[Finalist]) -> dict[str, Any]:
    """Return the content of `distributions.json`."""
    return {
        "distributions": {
            name: [
                {"option": option, "probability": float(share)}
                for option, share in zip(distributions.labels(name), logits.detach().softmax(0), strict=True)
            ]
            for name, logits in distributions.by_name().items()
        },
        "derived": dict(distributions.derived().values),
        "finalists": [
            {"rank": each.rank, "reward": each.reward, "values": dict(each.candidate.values)} for each in best
        ],
    }


def _fingerprint(task: TrialTask, exchange: Exchange) -> str:
    search: SharedSearch | None = task.search
    assert search is not None
    return fingerprint(
        task,
        space=[repr(parameter) for parameter in search.parameters],
        hard=[limit.model_dump() for limit in search.hard],
        options=dict(search.options),
        processes=exchange.size,
    )

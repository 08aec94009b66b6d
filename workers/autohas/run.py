"""The trial of a supernet, from its task to its measurements and the candidates that are worth trials of their own.

At every measurement, in this order: the distributions (`distributions.json`); the checkpoint (`last.pt`), which holds
all measurements up to there; the measurement is yielded. A kill between any two of them costs at most the time since
the last one.
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

import numpy as np
import torch

from searchsvc.domain.candidates import Candidate
from searchsvc.domain.metrics import Measurement
from searchsvc.domain.trial_task import SharedSearch, TrialTask
from searchsvc.errors import FailureKind, NotFound, TrialFailed
from searchsvc.spaces import networks
from searchsvc.spaces.bases import with_bases
from searchsvc.spaces.space import Space
from workers.autohas import classification, detection
from workers.autohas.classification import seed_of
from workers.autohas.controllers import Differentiable, Reinforce
from workers.autohas.distributions import Distributions, Draw
from workers.autohas.exchange import Alone, Exchange
from workers.autohas.finalists import Finalist, finalists, mean_reward, report
from workers.autohas.limits import CostLimits, FeasibleSampler
from workers.autohas.task_interface import Ground
from workers.autohas.trainer import SupernetLearner
from workers.training import checkpoint
from workers.training.classification.splits import Order
from workers.training.recipe import Recipe
from workers.training.schedule import Schedule
from workers.training.seeds import generator
from workers.training.trial import device_of, fingerprint
from workers.trials.files import DISTRIBUTIONS

_KERNELS, _KEPT_KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "10000"
"""oneDNN makes code for every shape of a convolution and keeps that of 1024: too few for the shapes of a space."""
_DRAWS, _TRAINING, _VALIDATION, _FINAL = range(4)
"""What random numbers are for."""
_GROUNDS: Mapping[str, Callable[[TrialTask, Space, torch.device], Ground]] = MappingProxyType(
    {"classification": classification.ground, "detection": detection.ground}
)
"""By task."""


def search(
    task: TrialTask,
    exchange: Exchange = Alone(),  # noqa: B008 - a constant
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Measurement]:
    """See `SupernetTask.search`. Raises TrialFailed (DIVERGED, INFEASIBLE), InvalidInput where the task is unsound."""
    keep_kernels()
    start, directory = clock(), Path(task.directory)
    run = _Search(task, exchange)
    directory.mkdir(parents=True, exist_ok=True)
    checkpoint.remove_parts(directory)
    measured = run.resumed(directory)
    before = measured[-1].seconds if measured else 0.0
    yield from [one for one in measured if one.step > task.stored_step]
    for log in range(len(measured) + 1, run.logs + 1):
        metrics = run.trained(log)
        found = run.finalists() if log == run.logs else []
        measured.append(Measurement(log, {**metrics, **report(found)}, before + clock() - start))
        run.keep(directory, measured, found)
        if log > task.stored_step:
            yield measured[-1]


def keep_kernels() -> None:
    """Have oneDNN keep its code for more shapes, unless the environment says how many. Before the first convolution."""
    os.environ.setdefault(_KERNELS, _KEPT_KERNELS)


def shared_rewards(task: TrialTask, candidates: Sequence[Candidate]) -> list[float]:
    """Rewards of candidates with the weights of the task's last checkpoint as they are, on all validation images.

    Raises NotFound where there is no such checkpoint.
    """
    run = _Search(task, Alone())
    if not run.resumed(Path(task.directory)):
        raise NotFound(f"no checkpoint of this search in {task.directory}")
    return [run.shared_reward(one) for one in candidates]


class _Search:
    """A search between two measurements."""

    def __init__(self, task: TrialTask, exchange: Exchange) -> None:
        assert task.search is not None
        self._task, self._search, self._exchange = task, task.search, exchange
        options = task.search.options
        space = with_bases(Space(task.search.parameters), options["basis_values"])
        ground = _GROUNDS[task.task](task, space, device_of(task))
        self._train, self._validation = ground.train, ground.validation
        self._limits = CostLimits.of(task.search)
        ends = {name: options[name] for name in ("spread", "last_spread", "temperature")}
        self._distributions = Distributions(space, **ends)
        self._drawing = FeasibleSampler(self._distributions, self._limits)
        self._learner = SupernetLearner(ground.network, space, ground.lessons, task.values, score=task.objective.metric)
        self._steps = math.ceil(math.ceil(len(self._train) / exchange.size) / self._learner.batch_size)
        self._total = self._steps * task.fidelity.epochs
        self.logs = task.fidelity.epochs * options["logs_per_epoch"]
        self._schedule = _schedule(task, self._steps)
        self._controller = _controller(options, self._distributions, self._drawing, exchange, self._total)
        self._seen = {"rejected": 0.0, "skipped": 0.0}
        """What the last measurement said of steps."""
        exchange.same(self._learner.memory)

    def trained(self, log: int) -> dict[str, float]:
        """Train up to measurement 1, 2, ... and return its metrics."""
        losses, reports = [], []
        rejected, skipped = self._drawing.rejected, self._learner.skipped
        steps = self._steps_of(log)
        validation = self._validation_batches(steps)
        for step, batch in zip(steps, self._training_batches(steps), strict=True):
            random = torch.Generator().manual_seed(self._seed(step, _DRAWS))
            self._learner.rate_scale = self._schedule.rate(step)
            if self._is_controlled(step):
                reports.append(self._controller.step(self._learner, batch, next(validation), random))
            loss = self._learner.train(self._drawing(1, random)[0], batch)
            self._exchange.mean(self._learner.memory)
            losses += [] if loss is None else [loss]
        sums = self._sums(sum(losses), len(losses), self._drawing.rejected - rejected, self._learner.skipped - skipped)
        if sums[1]:
            self._seen["train_loss"] = sums[0] / sums[1]
        self._seen["rejected"] += sums[2]
        self._seen["skipped"] += sums[3]
        scores = [one.score for one in reports if one.score is not None]
        if scores:
            self._seen["reward"] = sum(scores) / len(scores)
            if reports[-1].baseline is not None:
                self._seen["baseline"] = reports[-1].baseline
        return {**self._seen, **_of_distributions(self._distributions)}

    def finalists(self) -> list[Finalist]:
        """The derived candidate and the best draws, best first."""
        random = torch.Generator().manual_seed(seed_of(self._task.seed, self._total, _FINAL))
        order = np.random.default_rng(seed_of(self._task.seed, self._total, _TRAINING)).permutation(len(self._train))
        seed = seed_of(self._task.seed, self._total, _DRAWS)
        return finalists(
            self._learner,
            self._drawing,
            Space(self._search.parameters),
            self._search.options,
            next(self._train.batches(order[: self._learner.batch_size], [seed])),
            self._all_validation,
            random,
            self._exchange,
        )

    def shared_reward(self, candidate: Candidate) -> float:
        """Of the shared weights, on all validation images."""
        draw = Draw(candidate, {})
        return mean_reward(self._learner, draw, self._learner.shared(draw), self._all_validation())

    def resumed(self, directory: Path) -> list[Measurement]:
        """Measurements up to the checkpoint that the search goes on from; none where it starts over."""
        state = checkpoint.load(directory, self._learner.memory.device)
        found = state if state is not None and state["trial"] == _fingerprint(self._task, self._exchange) else None
        self._agree(len(found["measured"]) if found else 0)
        if found is None:
            return []
        self._learner.restore(found["learner"])
        self._controller.restore(found["controller"])
        self._seen = dict(found["seen"])
        return [Measurement(*one) for one in found["measured"]]

    def keep(self, directory: Path, measured: list[Measurement], found: list[Finalist]) -> None:
        """Write what the search goes on from, and what it has found."""
        if self._exchange.rank:
            return
        content = json.dumps(_document(self._distributions, found), indent=2)
        checkpoint.write_atomically(directory / DISTRIBUTIONS, content.encode())
        state = {
            "trial": _fingerprint(self._task, self._exchange),
            "learner": self._learner.state(),
            "controller": self._controller.state(),
            "seen": self._seen,
            "measured": [(one.step, dict(one.metrics), one.seconds) for one in measured],
        }
        checkpoint.save(directory, state)

    def _all_validation(self) -> Iterator[Any]:
        every = np.arange(len(self._validation))
        parts = math.ceil(len(every) / self._search.options["reward_images"])
        return self._validation.batches(every, [0] * parts)

    def _steps_of(self, log: int) -> range:
        """The steps before measurement `log` and after the one before."""
        per_epoch = self._search.options["logs_per_epoch"]
        return range(*(round(one * self._steps / per_epoch) for one in (log - 1, log)))

    def _is_controlled(self, step: int) -> bool:
        return step % int(self._search.options["controller_every"]) == 0

    def _training_batches(self, steps: range) -> Iterator[Any]:
        """One for each of the steps, which are within one epoch."""
        if not steps:
            return
        epoch, first = divmod(steps.start, self._steps)
        order = generator(self._task.seed, epoch + 1).permutation(len(self._train))
        own: Order = order[self._exchange.rank :: self._exchange.size]
        parts = np.array_split(own, self._steps)[first : first + len(steps)]
        yield from self._train.batches(np.concatenate(parts), [self._seed(step, _TRAINING) for step in steps])

    def _validation_batches(self, steps: range) -> Iterator[Any]:
        """One for each step of the controller among the steps."""
        controlled = [one for one in steps if self._is_controlled(one)]
        if not controlled:
            return
        count = min(self._search.options["reward_images"], len(self._validation))
        chosen = [
            np.random.default_rng(self._seed(step, _VALIDATION)).choice(len(self._validation), count, replace=False)
            for step in controlled
        ]
        yield from self._validation.batches(np.concatenate(chosen), [0] * len(controlled))

    def _seed(self, step: int, purpose: int) -> int:
        return seed_of(self._task.seed, step, self._exchange.rank, purpose)

    def _sums(self, *values: float) -> list[float]:
        """Over all processes."""
        numbers = torch.tensor(values, dtype=torch.float64)
        self._exchange.mean(numbers)
        return [float(one) for one in numbers * self._exchange.size]

    def _agree(self, measured: int) -> None:
        """Raise TrialFailed where processes would go on from different places."""
        (total,) = self._sums(measured)
        if total != measured * self._exchange.size:
            message = "the processes of this search see different checkpoints: its directory must be one that all share"
            raise TrialFailed(FailureKind.ERROR, message)


def _schedule(task: TrialTask, steps: int) -> Schedule:
    """Of the multiplier of learning rates: by the constants of the recipe."""
    recipe = Recipe.of(networks.complete(task.values, task.task))
    return replace(Schedule.of(recipe, task.fidelity.epochs, steps), peak=1.0)


def _controller(
    options: Mapping[str, Any], distributions: Distributions, drawing: FeasibleSampler, exchange: Exchange, total: int
) -> Reinforce | Differentiable:
    known: Any = {
        "steps": math.ceil(total / options["controller_every"]),
        "drawing": drawing,
        "exchange": exchange,
        **{name: options[name] for name in ("samples", "learning_rate", "frozen_share")},
    }
    if options["variant"] == "differentiable":
        return Differentiable(distributions, **known)
    return Reinforce(distributions, baseline_momentum=options["baseline_momentum"], **known)


def _of_distributions(distributions: Distributions) -> dict[str, float]:
    entropies = distributions.entropies()
    shares = {
        f"p/{name}/{option}": float(share)
        for name, logits in distributions.by_name().items()
        for option, share in enumerate(logits.detach().softmax(0))
    }
    each = {f"entropy/{name}": one for name, one in entropies.items()}
    return {"entropy": sum(entropies.values()), **each, **shares}


def _document(distributions: Distributions, found: list[Finalist]) -> dict[str, Any]:
    """What `distributions.json` says."""
    return {
        "distributions": {
            name: [
                {"option": option, "probability": float(share)}
                for option, share in zip(distributions.labels(name), logits.detach().softmax(0), strict=True)
            ]
            for name, logits in distributions.by_name().items()
        },
        "derived": dict(distributions.derived().values),
        "finalists": [{"rank": one.rank, "reward": one.reward, "values": dict(one.candidate.values)} for one in found],
    }


def _fingerprint(task: TrialTask, exchange: Exchange) -> str:
    search: SharedSearch | None = task.search
    assert search is not None
    return fingerprint(
        task,
        space=[repr(one) for one in search.parameters],
        hard=[one.model_dump() for one in search.hard],
        options=dict(search.options),
        processes=exchange.size,
    )

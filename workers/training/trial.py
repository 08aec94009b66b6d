"""A trial, from its task to its measurements and files, for any kind of training.

After every epoch, in this order:

1. if the weights are the best so far, their files (among them `model.safetensors`) get names of that step;
2. the checkpoint (`last.pt`) is replaced: it contains all measurements so far, and the names and digests of the files
   of the best step;
3. these files get their final names, and files of other steps are removed;
4. the measurement is yielded.

So a kill costs at most the current epoch, and weights of an epoch without a checkpoint do not outlive it: the next
attempt completes step 3 for the checkpoint that exists (`workers.trials.checkpoint_file`). An attempt whose checkpoint
is that of the last epoch trains nothing: it ends with the files that exist.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from searchsvc.domain.metrics import Measurement, best_measurement
from searchsvc.domain.trial_task import TrialTask
from searchsvc.errors import FailureKind, InvalidInput, TrialFailed
from searchsvc.spaces.recipe import DATA_FRACTION
from workers.training.checkpoint import Checkpoints


class Training(Protocol):
    """A network that is trained and measured."""

    def train_epoch(self, epoch: int) -> Mapping[str, float]:
        """Train epoch 1, 2, ... and return its losses. Raises TrialFailed (DIVERGED)."""

    def measure(self) -> Mapping[str, float]:
        """Return metrics of the current weights on the validation split."""

    def files(self, last: Measurement) -> Mapping[str, bytes]:
        """Return the files that belong to the current weights, which have just been measured: contents by name."""

    def state(self) -> dict[str, Any]:
        """Return all state that the next epoch depends on."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()`."""


def run(
    task: TrialTask,
    device: torch.device,
    make: Callable[[Callable[[], None]], Training],
    clock: Callable[[], float],
    earlier: float = 0.0,
) -> Iterator[Measurement]:
    """Train and yield measurements; see `Task.train`.

    `make` creates the training from a function that it calls every few steps, and whose exceptions end the epoch.
    `earlier`: seconds that the trial took before its first epoch. Raises TrialFailed (DIVERGED, TIMED_OUT).
    """
    watch = _Stopwatch(clock, task.trial_seconds)
    checkpoints = Checkpoints(Path(task.directory))
    state = _own_state(task, checkpoints, device)
    measured = [Measurement(*row) for row in state["measured"]] if state else []
    watch.before = measured[-1].seconds if measured else earlier
    if len(measured) >= task.fidelity.epochs:
        yield from _unstored(measured, task)
        return
    training = make(watch.check)
    if state is not None:
        training.restore(state["trainer"])
        del state
    yield from _unstored(measured, task)
    for epoch in range(len(measured) + 1, task.fidelity.epochs + 1):
        watch.check()
        losses = training.train_epoch(epoch)
        metrics = _finite({**training.measure(), **losses})
        measured.append(Measurement(epoch, metrics, watch.seconds))
        _save(task, checkpoints, training, measured)
        if epoch > task.stored_step:
            yield measured[-1]


class _Stopwatch:
    """Seconds spent on a trial over all its attempts, and their limit."""

    def __init__(self, clock: Callable[[], float], limit: float | None) -> None:
        self._clock, self._limit, self._start = clock, limit, clock()
        self.before = 0.0

    @property
    def seconds(self) -> float:
        return self.before + self._clock() - self._start

    def check(self) -> None:
        if self._limit is not None and self.seconds > self._limit:
            raise TrialFailed(
                FailureKind.TIMED_OUT, f"{self.seconds:.1f} s of training; the limit is {self._limit:g} s"
            )


class DataShare(NamedTuple):
    """The data that a trial trains on, as shares of the training images."""

    share: float
    of: float
    """Share that the fidelity allows; an epoch has as many steps as if it were trained on that share."""


def data_share_of(task: TrialTask) -> DataShare:
    """Return the data of a trial: the recipe's share is a share of the data that the fidelity allows."""
    allowed, share = task.fidelity.data_fraction, task.values.get(DATA_FRACTION, 1.0)
    assert isinstance(share, int | float)  # by the limits of the task
    return DataShare(allowed * share, allowed)


def device_of(task: TrialTask) -> torch.device:
    """Return the device of a task, and set the number of threads. Raises InvalidInput if the device is absent."""
    torch.set_num_threads(task.threads)
    device = torch.device(task.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInput.at("/resources/gpu", "the trial was given a GPU, but this worker's torch sees none")
    return device


def _own_state(task: TrialTask, checkpoints: Checkpoints, device: torch.device) -> dict[str, Any] | None:
    """Return the state of the last checkpoint, or None if training starts over."""
    state = checkpoints.load(device)
    return state if state is not None and state["trial"] == fingerprint(task) else None


def _unstored(measured: list[Measurement], task: TrialTask) -> list[Measurement]:
    """Return the measurements of earlier attempts that are to be reported again."""
    return [measurement for measurement in measured if measurement.step > task.stored_step]


def _save(task: TrialTask, checkpoints: Checkpoints, training: Training, measured: list[Measurement]) -> None:
    last = measured[-1]
    is_best = (best_measurement(measured, task.objective) or last) is last
    history = [(row.step, dict(row.metrics), row.seconds) for row in measured]
    state = {"trial": fingerprint(task), "trainer": training.state(), "measured": history}
    checkpoints.save(state, last.step, training.files(last) if is_best else None)


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics. Raises TrialFailed (DIVERGED) if a metric is NaN or infinite, before any file."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise TrialFailed(FailureKind.DIVERGED, f"{name} became {value}")
    return metrics


def fingerprint(task: TrialTask, **further: Any) -> str:
    """Return a digest of everything that determines the training, including `further`.

    A checkpoint with another fingerprint is not used.
    """
    content: dict[str, Any] = {
        "task": task.task,
        "dataset": dict(task.dataset),
        "values": dict(task.values),
        "fidelity": task.fidelity.model_dump(),
        "seed": task.seed,
        "objective": task.objective.model_dump(),
        **({"pretrained": task.pretrained.sha256} if task.pretrained else {}),
        **({"self_training": asdict(task.self_training)} if task.self_training else {}),
        **further,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

"""One trial, from its task to its measurements and files, whatever is trained.

After every epoch, in this order: the files of the weights, if they are the best so far (`model.safetensors` among
them); the checkpoint (`last.pt`), which holds all measurements up to there; the measurement is yielded. A kill between
any two of them costs at most the epoch.
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
from workers.training import checkpoint


class Training(Protocol):
    """A network that is trained and measured."""

    def train_epoch(self, epoch: int) -> Mapping[str, float]:
        """Train epoch 1, 2, ...: its losses. Raises TrialFailed (DIVERGED)."""

    def measure(self) -> Mapping[str, float]:
        """Metrics of the weights as they are, on the validation split."""

    def files(self, last: Measurement) -> Mapping[str, bytes]:
        """What is kept of the weights as they are, which have just been measured: contents by name."""

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()`."""


def run(
    task: TrialTask,
    device: torch.device,
    make: Callable[[Callable[[], None]], Training],
    clock: Callable[[], float],
    earlier: float = 0.0,
) -> Iterator[Measurement]:
    """See `Task.train`. `make` is given what is to be called every few steps, and ends the epoch by what it raises.

    `earlier`: seconds that the trial took before its first epoch. Raises TrialFailed (DIVERGED, TIMED_OUT).
    """
    watch = _Stopwatch(clock, task.trial_seconds)
    training = make(watch.check)
    directory = Path(task.directory)
    directory.mkdir(parents=True, exist_ok=True)
    checkpoint.remove_parts(directory)
    measured = _resumed(task, directory, training, device)
    watch.before = measured[-1].seconds if measured else earlier
    yield from [one for one in measured if one.step > task.stored_step]
    for epoch in range(len(measured) + 1, task.fidelity.epochs + 1):
        watch.check()
        losses = training.train_epoch(epoch)
        metrics = _finite({**training.measure(), **losses})
        measured.append(Measurement(epoch, metrics, watch.seconds))
        _keep(task, directory, training, measured)
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
    """What a trial is trained on, as shares of the training images."""

    share: float
    of: float
    """What the fidelity gives: an epoch has as many steps as if it were trained on that."""


def data_of(task: TrialTask) -> DataShare:
    """The recipe's share is one of what the fidelity gives."""
    given, share = task.fidelity.data_fraction, task.values.get(DATA_FRACTION, 1.0)
    return DataShare(given * float(share), given)


def device_of(task: TrialTask) -> torch.device:
    """Where a task is trained, on as many threads as it says. Raises InvalidInput where there is no such device."""
    torch.set_num_threads(task.threads)
    device = torch.device(task.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInput.at("/resources/gpu", "the trial was given a GPU, but this worker's torch sees none")
    return device


def _resumed(task: TrialTask, directory: Path, training: Training, device: torch.device) -> list[Measurement]:
    """Measurements up to the checkpoint that training goes on from; none where it starts over."""
    state = checkpoint.load(directory, device)
    if state is None or state["trial"] != fingerprint(task):
        return []
    training.restore(state["trainer"])
    return [Measurement(*one) for one in state["measured"]]


def _keep(task: TrialTask, directory: Path, training: Training, measured: list[Measurement]) -> None:
    last = measured[-1]
    if (best_measurement(measured, task.objective) or last) is last:
        for name, content in training.files(last).items():
            checkpoint.write_atomically(directory / name, content)
    history = [(one.step, dict(one.metrics), one.seconds) for one in measured]
    checkpoint.save(directory, {"trial": fingerprint(task), "trainer": training.state(), "measured": history})


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    """The same. Raises TrialFailed (DIVERGED) where one is NaN or infinite: nothing of such an epoch is kept."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise TrialFailed(FailureKind.DIVERGED, f"{name} became {value}")
    return metrics


def fingerprint(task: TrialTask, **besides: Any) -> str:
    """Of all that decides what is trained, `besides` included: a checkpoint of anything else is not gone on from."""
    what: dict[str, Any] = {
        "task": task.task,
        "dataset": dict(task.dataset),
        "values": dict(task.values),
        "fidelity": task.fidelity.model_dump(),
        "seed": task.seed,
        "objective": task.objective.model_dump(),
        **({"pretrained": task.pretrained.sha256} if task.pretrained else {}),
        **({"self_training": asdict(task.self_training)} if task.self_training else {}),
        **besides,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

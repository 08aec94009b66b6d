"""One trial of image classification, from its task to its measurements and files.

After every epoch, in this order: the weights, if they are the best so far (`model.safetensors`); the checkpoint
(`last.pt`), which holds all measurements up to there; the measurement is yielded. A kill between any two of them costs
at most the epoch.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from searchsvc.domain.metrics import Measurement, best_measurement
from searchsvc.domain.states import FailureKind
from searchsvc.domain.tasks import TrialTask
from searchsvc.errors import InvalidInput, TrialFailed
from workers import data
from workers.data import Dataset
from workers.evaluation.classification import evaluate
from workers.files import MODEL
from workers.models.inputs import Inputs
from workers.models.trained import ModelCard, load, serialise
from workers.training import checkpoint
from workers.training.splits import Batches, on_device
from workers.training.trainer import Trainer, untrained


def train(task: TrialTask, clock: Callable[[], float] = time.monotonic) -> Iterator[Measurement]:
    """See `Task.train`. Raises TrialFailed (DIVERGED, TIMED_OUT), InvalidInput where dataset or values are unsound."""
    device = device_of(task)
    dataset = data.load(task.dataset)
    watch = _Stopwatch(clock, task.trial_seconds)
    trainer = Trainer(
        untrained(task.values, dataset, task.seed),
        task.values,
        on_device(dataset.subset(task.fidelity.data_fraction), device, task.threads),
        dataset,
        epochs=task.fidelity.epochs,
        seed=task.seed,
        device=device,
        compiled=task.compile,
        check=watch.check,
    )
    validation = on_device(dataset.validation, device, task.threads)
    directory = Path(task.directory)
    directory.mkdir(parents=True, exist_ok=True)
    checkpoint.remove_parts(directory)
    measured = _resumed(task, directory, trainer, device)
    watch.before = measured[-1].seconds if measured else 0.0
    yield from [one for one in measured if one.step > task.stored_step]
    for epoch in range(len(measured) + 1, task.fidelity.epochs + 1):
        watch.check()
        train_loss = trainer.train_epoch(epoch)
        metrics = _finite({**_measure(trainer, validation), "train_loss": train_loss})
        measured.append(Measurement(epoch, metrics, watch.seconds))
        _keep(task, directory, trainer, dataset, measured)
        if epoch > task.stored_step:
            yield measured[-1]


def test(task: TrialTask) -> Mapping[str, float]:
    """Accuracy and loss of the kept weights on the test split. Raises InvalidInput where there are none."""
    torch.set_num_threads(task.threads)
    dataset = data.load(task.dataset)
    classifier = load(Path(task.directory) / MODEL)
    split = on_device(dataset.test, torch.device("cpu"), task.threads)
    return dict(evaluate((classifier.logits(images), labels) for images, labels in _in_order(split, classifier.inputs)))


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


def device_of(task: TrialTask) -> torch.device:
    """Where a task is trained, on as many threads as it says. Raises InvalidInput where there is no such device."""
    torch.set_num_threads(task.threads)
    device = torch.device(task.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInput.at("/resources/gpu", "the trial was given a GPU, but this worker's torch sees none")
    return device


@torch.inference_mode()
def _measure(trainer: Trainer, split: Batches) -> dict[str, float]:
    model = trainer.evaluated.eval()

    def logits(images: Tensor) -> Tensor:
        with trainer.precision.autocast():
            return model(trainer.inputs(images))  # type: ignore[no-any-return]

    return dict(evaluate((logits(images), labels) for images, labels in _in_order(split, trainer.inputs)))


def _in_order(split: Batches, inputs: Inputs) -> Iterator[tuple[Tensor, Tensor]]:
    """All of a split, in large batches."""
    return split.batches(np.arange(len(split)), math.ceil(len(split) / inputs.batch))


def _resumed(task: TrialTask, directory: Path, trainer: Trainer, device: torch.device) -> list[Measurement]:
    """Measurements up to the checkpoint that training goes on from; none where it starts over."""
    state = checkpoint.load(directory, device)
    if state is None or state["trial"] != _fingerprint(task):
        return []
    trainer.restore(state["trainer"])
    return [Measurement(*one) for one in state["measured"]]


def _keep(task: TrialTask, directory: Path, trainer: Trainer, dataset: Dataset, measured: list[Measurement]) -> None:
    last = measured[-1]
    if (best_measurement(measured, task.objective) or last) is last:
        card = ModelCard(
            task=task.task,
            dataset=dataset.name,
            values=dict(task.values),
            classes=dataset.classes,
            shape=dataset.info.shape,
            mean=dataset.mean,
            std=dataset.std,
            step=last.step,
            metrics=dict(last.metrics),
        )
        checkpoint.write_atomically(directory / MODEL, serialise(trainer.evaluated, card))
    history = [(one.step, dict(one.metrics), one.seconds) for one in measured]
    checkpoint.save(directory, {"trial": _fingerprint(task), "trainer": trainer.state(), "measured": history})


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    """The same. Raises TrialFailed (DIVERGED) where one is NaN or infinite: nothing of such an epoch is kept."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise TrialFailed(FailureKind.DIVERGED, f"{name} became {value}")
    return metrics


def _fingerprint(task: TrialTask) -> str:
    """Of all that decides what is trained: a checkpoint of anything else is not gone on from."""
    what: dict[str, Any] = {
        "task": task.task,
        "dataset": dict(task.dataset),
        "values": dict(task.values),
        "fidelity": task.fidelity.model_dump(),
        "seed": task.seed,
        "objective": task.objective.model_dump(),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

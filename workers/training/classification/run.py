"""A trial of image classification, and the test of its result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from searchsvc.domain.metrics import Measurement
from searchsvc.domain.trial_task import TrialTask
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.networks import complete
from workers.data import classification as data
from workers.data.classification import Dataset
from workers.evaluation.classification import evaluate
from workers.evaluation.ranking import Ranking
from workers.evaluation.reassessed import real_metrics
from workers.models.trained import ModelCard, load, serialise
from workers.training import trial
from workers.training.classification.cleaning import disagreeing
from workers.training.classification.pseudo_labels import ClassLabeller, PseudoLabelledImages
from workers.training.classification.splits import Batches, in_order, on_device, with_targets
from workers.training.classification.trainer import Trainer, untrained
from workers.training.initialisation import load_initial
from workers.training.pseudo_labelled import PseudoLabelled
from workers.training.self_training import stages
from workers.training.self_training.stages import PseudoLabelledSplit
from workers.trials.files import DROPPED, MODEL, PREDICTIONS


def train(task: TrialTask, clock: Callable[[], float] = time.monotonic) -> Iterator[Measurement]:
    """Yield measurements; see `Task.train`.

    Raises TrialFailed (DIVERGED, TIMED_OUT), InvalidInput if dataset or values are invalid.
    """
    device = trial.device_of(task)
    dataset = data.load(task.dataset)

    def training(
        stage: TrialTask, check: Callable[[], None], pseudo: PseudoLabelledSplit[PseudoLabelledImages] | None = None
    ) -> trial.Training:
        return _Classification(stage, dataset, device, check, pseudo, folds_of=task)

    if stages.is_self_trained(task):
        labeller = ClassLabeller(dataset, device, complete(task.values))
        yield from stages.run(task, device, training, labeller, clock)
    else:
        yield from trial.run(task, device, lambda check: training(task, check), clock)


def test(task: TrialTask) -> Mapping[str, float]:
    """Return accuracy and loss of the stored weights on the test split. Raises InvalidInput if there are none."""
    torch.set_num_threads(task.threads)
    dataset = data.load(task.dataset)
    classifier = load(Path(task.directory) / MODEL)
    split = on_device(dataset.test, torch.device("cpu"), task.threads)
    return dict(
        evaluate((classifier.logits(images), labels) for images, labels in in_order(split, classifier.inputs.batch))
    )


class _Classification:
    """A `trial.Training` of a classifier."""

    def __init__(
        self,
        task: TrialTask,
        dataset: Dataset,
        device: torch.device,
        check: Callable[[], None],
        pseudo: PseudoLabelledSplit[PseudoLabelledImages] | None,
        *,
        folds_of: TrialTask,
    ) -> None:
        """Create the training. `folds_of`: the trial that the task is a stage of, or the task itself."""
        self._task, self._dataset = task, dataset
        self._label_metrics = pseudo.metrics if pseudo else {}
        values = complete(task.values)
        model = untrained(values, dataset, task.seed)
        self._start = load_initial(model, task)
        part = trial.data_share_of(task)
        train, images = dataset.subset(part.share), len(dataset.subset(part.of)) if part.share < part.of else None
        self._dropped: NDArray[np.intp] | None = None
        if folds := values["clean_folds"]:
            self._dropped = disagreeing(folds_of, dataset, train, folds, device, check)
            train = train.take(np.delete(np.arange(len(train)), self._dropped))
        self._trainer = Trainer(
            model,
            values,
            on_device(train, device, task.threads),
            dataset,
            images=images,
            epochs=task.fidelity.epochs,
            seed=task.seed,
            device=device,
            pseudo_labelled=_pseudo_labelled(task, values, pseudo.split, device) if pseudo else None,
            compiled=task.compile,
            check=check,
        )
        self._validation = on_device(dataset.validation, device, task.threads)

    def train_epoch(self, epoch: int) -> Mapping[str, float]:
        return {**self._trainer.train_epoch(epoch), **self._label_metrics}

    @torch.inference_mode()
    def measure(self) -> Mapping[str, float]:
        trainer, model = self._trainer, self._trainer.evaluated.eval()

        def logits(images: Tensor) -> Tensor:
            with trainer.precision.autocast():
                return model(trainer.inputs(images))  # type: ignore[no-any-return]

        batches = in_order(self._validation, trainer.inputs.batch)
        ranking = Ranking(independent=trainer.independent)
        metrics = dict(evaluate(ranking.passing((logits(images), labels) for images, labels in batches)))
        self._predictions = ranking.predictions(self._dataset.validation.labels)
        sets = self._dataset.reassessed
        real = {} if sets is None else real_metrics(self._predictions, sets)
        return {**metrics, **real, **self._start.metrics}

    def files(self, last: Measurement) -> Mapping[str, bytes]:
        card = ModelCard.of(self._task, self._dataset, last)
        files = {MODEL: serialise(self._trainer.evaluated, card), PREDICTIONS: self._predictions.content()}
        if self._dropped is not None:
            files[DROPPED] = json.dumps({"dropped": self._dropped.tolist()}).encode()
        return {**files, **self._start.files}

    def state(self) -> dict[str, Any]:
        return self._trainer.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._trainer.restore(state)


def _pseudo_labelled(
    task: TrialTask, values: CompleteValues, taught: PseudoLabelledImages, device: torch.device
) -> PseudoLabelled[Batches]:
    alpha = float(values["self_training_alpha"])
    split = with_targets(taught.images, taught.targets, device, task.threads)
    return PseudoLabelled(split, len(split), alpha=alpha, seed=task.seed)

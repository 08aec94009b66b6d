"""A trial of detection, and the test of its result."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from searchsvc.domain.metrics import Measurement
from searchsvc.domain.trial_task import TrialTask
from searchsvc.spaces.networks import complete
from workers.data import detection as data
from workers.data.detection import DetectionDataset, Scenes
from workers.evaluation.detection import LATENCY, evaluate
from workers.evaluation.drawing import drawn
from workers.models.heads.detections import Detections, in_px
from workers.models.trained import ModelCard, serialise
from workers.models.trained_detector import load
from workers.training import trial
from workers.training.detection.batches import SceneBatches
from workers.training.detection.inference import detect
from workers.training.detection.latency import milliseconds
from workers.training.detection.pseudo_labels import BoxLabeller
from workers.training.detection.trainer import DetectorTrainer, inputs_of, untrained
from workers.training.initialisation import load_initial
from workers.training.precision import Precision
from workers.training.pseudo_labelled import PseudoLabelled
from workers.training.self_training import stages
from workers.training.self_training.stages import PseudoLabelledSplit
from workers.trials.files import MODEL, PICTURE

_PICTURES, _LONGEST_SIDE = 4, 400
"""Number of validation images drawn with their detections, and their approximate longer side in px."""


def train(task: TrialTask, clock: Callable[[], float] = time.monotonic) -> Iterator[Measurement]:
    """Yield measurements; see `Task.train`.

    Raises TrialFailed (DIVERGED, TIMED_OUT), InvalidInput if dataset or values are invalid.
    """
    device = trial.device_of(task)
    dataset = data.load(task.dataset)

    def training(
        stage: TrialTask, check: Callable[[], None], pseudo: PseudoLabelledSplit[Scenes] | None = None
    ) -> trial.Training:
        return _Detection(stage, dataset, device, check, pseudo)

    if stages.is_self_trained(task):
        labeller = BoxLabeller(dataset, device, complete(task.values, task.task))
        yield from stages.run(task, device, training, labeller, clock)
    else:
        yield from trial.run(task, device, lambda check: training(task, check), clock)


def test(task: TrialTask) -> Mapping[str, float]:
    """Return average precision of the stored weights on the test split. Raises InvalidInput if there are none."""
    torch.set_num_threads(task.threads)
    dataset, model, device = data.load(task.dataset), load(Path(task.directory) / MODEL), torch.device("cpu")
    split = SceneBatches.of(dataset.test, dataset, side=model.side, device=device, processes=task.threads)
    detections = detect(split, model.network, model.inputs, Precision.of(device))
    return dict(evaluate(detections, dataset.test.truths, dataset.classes))


class _Detection:
    """A `trial.Training` of a detector."""

    def __init__(
        self,
        task: TrialTask,
        dataset: DetectionDataset,
        device: torch.device,
        check: Callable[[], None],
        pseudo: PseudoLabelledSplit[Scenes] | None,
    ) -> None:
        self._task, self._dataset = task, dataset
        self._label_metrics = pseudo.metrics if pseudo else {}
        values = complete(task.values, task.task)
        model = untrained(values, dataset, task.seed)
        self._start = load_initial(model, task)
        part = trial.data_share_of(task)
        self._inputs = inputs_of(values, dataset, device)

        def batches(scenes: Scenes) -> SceneBatches:
            return SceneBatches.of(scenes, dataset, side=model.size[0], device=device, processes=task.threads)

        def pseudo_labelled(scenes: Scenes) -> PseudoLabelled[SceneBatches]:
            alpha = float(values["self_training_alpha"])
            return PseudoLabelled(batches(scenes), len(scenes), alpha=alpha, seed=task.seed)

        self._validation = batches(dataset.validation)
        self._detections: list[Detections] = []
        self._trainer = DetectorTrainer(
            model,
            values,
            batches(dataset.subset(part.share)),
            self._inputs,
            images=len(dataset.subset(part.of)),
            epochs=task.fidelity.epochs,
            seed=task.seed,
            device=device,
            pseudo_labelled=pseudo_labelled(pseudo.split) if pseudo else None,
            compiled=task.compile,
            check=check,
        )

    def train_epoch(self, epoch: int) -> Mapping[str, float]:
        return {**self._trainer.train_epoch(epoch), **self._label_metrics}

    def measure(self) -> Mapping[str, float]:
        trained = self._trainer.optimisation
        how = (self._validation, trained.evaluated, self._inputs, trained.precision)
        self._detections = detect(*how)
        metrics = dict(evaluate(self._detections, self._dataset.validation.truths, self._dataset.classes))
        slow = (
            {LATENCY.name: milliseconds(*how, self._task.threads)}
            if LATENCY.name in self._task.required_metrics
            else {}
        )
        return {**metrics, **slow, **self._start.metrics}

    def files(self, last: Measurement) -> Mapping[str, bytes]:
        pictures = {
            PICTURE.format(number): self._picture(number) for number in range(len(self._detections[:_PICTURES]))
        }
        card = ModelCard.of(self._task, self._dataset, last)
        return {**pictures, **self._start.files, MODEL: serialise(self._trainer.optimisation.evaluated, card)}

    def state(self) -> dict[str, Any]:
        return self._trainer.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._trainer.restore(state)

    def _picture(self, number: int) -> bytes:
        """Return a validation image with its detections, as PNG."""
        scenes = self._dataset.validation
        image = Image.fromarray(scenes.pictures[number].transpose(1, 2, 0))
        detections = in_px(self._detections[number], scenes.size_of(number), (image.height, image.width))
        scale = max(1, _LONGEST_SIDE // max(image.size))
        content = io.BytesIO()
        drawn(image, detections, self._dataset.classes, scale=scale).save(content, "PNG")
        return content.getvalue()

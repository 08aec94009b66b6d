"""Batches and losses of detectors in a search with shared weights. The architecture is fixed.

A candidate is scored by its loss on validation scenes, with the default weights of the terms and the default power of
Quality Focal Loss: its own choice of them affects its training, but must not affect its score. Average precision is
unsuitable. It is 0 for all candidates until a detector finds something, and it takes decoding, suppression and matching
in every step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from searchsvc.domain.trial_task import TrialTask
from searchsvc.spaces.detector.head import bins_of
from searchsvc.spaces.recipe import DETECTION
from searchsvc.spaces.sharing import fixed_values
from searchsvc.spaces.space import Space
from workers.autohas.task_interface import SearchSetup, TrainingLoss
from workers.autohas.updates import Tensors
from workers.data import detection as data
from workers.losses.atss import Targets
from workers.losses.one_stage import OneStageLoss
from workers.models.inputs import Inputs
from workers.supernet.detector import SharedDetector
from workers.training.classification.splits import Order
from workers.training.depthwise import with_strips
from workers.training.detection.augment import DetectionAugmentation
from workers.training.detection.batches import DetectionBatch, SceneBatches
from workers.training.detection.trainer import inputs_of, untrained
from workers.training.precision import Precision
from workers.training.recipe import DetectorRecipe
from workers.training.trial import data_share_of

_WORST = 40.0
"""Cap of a loss: about ten times the loss of an untrained detector."""


@dataclass(frozen=True, slots=True)
class SceneBatch:
    """Scenes as stored in the dataset; each candidate derives its inputs from them."""

    scenes: SceneBatches
    positions: Order
    """Positions (n,) in the split."""
    seed: int = 0
    seen: dict[tuple[DetectionAugmentation | None, int], tuple[DetectionBatch, ...]] = field(default_factory=dict)
    """Squares by augmentation and number of images, computed once for all candidates."""

    def __len__(self) -> int:
        return len(self.positions)

    def augmented(self, augmentation: DetectionAugmentation, count: int) -> DetectionBatch:
        """Return the first `count` scenes, augmented, in a single batch."""
        order = self.positions[:count]
        [batch] = self._cached(
            (augmentation, count), lambda: self.scenes.augmented(order, 1, augmentation, self.seed, epoch=0)
        )
        return batch

    def plain(self, most: int) -> tuple[DetectionBatch, ...]:
        """Return all scenes without augmentation, in batches of at most `most`."""
        parts = math.ceil(len(self) / most)
        return self._cached((None, most), lambda: self.scenes.plain(parts, self.positions))

    def _cached(
        self, key: tuple[DetectionAugmentation | None, int], make: Callable[[], Iterator[DetectionBatch]]
    ) -> tuple[DetectionBatch, ...]:
        if key not in self.seen:
            self.seen[key] = tuple(make())
        return self.seen[key]


@dataclass(frozen=True, slots=True)
class SceneBatchSource:
    """A `workers.autohas.task_interface.BatchSource` of scenes."""

    scenes: SceneBatches

    def __len__(self) -> int:
        return len(self.scenes)

    def batches(self, order: Order, seeds: Sequence[int]) -> Iterator[SceneBatch]:
        for part, seed in zip(np.array_split(order, len(seeds)), seeds, strict=True):
            yield SceneBatch(self.scenes, part, seed)


class DetectionLosses:
    """The `workers.autohas.task_interface.CandidateLosses` of detection."""

    recipe, linear = DETECTION.defaults, "dfl_weight"

    def __init__(self, inputs: Inputs, bins: int, device: torch.device) -> None:
        """Create the losses. `bins`: bins per side of a box in the head."""
        self.device, self._inputs, self._bins = device, inputs, bins
        self._precision, self._measure = Precision.unscaled(device), OneStageLoss(bins)

    def training_loss(
        self, network: SharedDetector, tensors: Tensors, batch: SceneBatch, values: Mapping[str, Any]
    ) -> TrainingLoss:
        """Return the candidate's loss on images with its augmentation."""
        recipe, weight = DetectorRecipe.of(values), values[self.linear]
        augmentation = DetectionAugmentation(recipe.augmentation, recipe.flip, recipe.color)
        scenes = batch.augmented(augmentation, recipe.batch_size)
        # The distribution term at weight 1: the loss is linear in its weight, which may have a gradient.
        terms = self._terms(network, tensors, scenes, OneStageLoss(self._bins, values["qfl_beta"], distribution=1.0))
        distribution = terms.pop("distribution", None)
        loss = _sum(terms)
        if distribution is None:
            return TrainingLoss(loss)
        if isinstance(weight, Tensor):
            return TrainingLoss(loss, loss + distribution, weight)
        return TrainingLoss(loss + weight * distribution)

    def validation_loss(
        self,
        network: SharedDetector,
        tensors: Tensors,
        batch: SceneBatch,
        values: Mapping[str, Any],  # noqa: ARG002 - the same measure for all candidates
    ) -> Tensor:
        """Return the mean loss over images, with the default weights of its terms, without augmentation."""
        losses = [
            _sum(self._terms(network, tensors, part, self._measure)) * (len(part) / len(batch))
            for part in batch.plain(self._inputs.batch)
        ]
        return torch.stack(losses).sum()  # parts weigh as many images as they have

    def reward(
        self,
        network: SharedDetector,
        tensors: Tensors,
        batch: SceneBatch,
        values: Mapping[str, Any],
        objective: str,  # noqa: ARG002 - the same loss for all objectives: see the module
    ) -> float:
        """Return the negative validation loss, capped so that a ruined candidate does not determine the baseline."""
        loss = float(self.validation_loss(network, tensors, batch, values))
        return -(min(loss, _WORST) if math.isfinite(loss) else _WORST)

    def _terms(
        self, network: SharedDetector, tensors: Tensors, batch: DetectionBatch, measure: OneStageLoss
    ) -> dict[str, Tensor]:
        with self._precision.autocast():
            outputs = network.outputs(self._inputs(batch.images), tensors)
        return measure(outputs, network.anchors(outputs), Targets.of(batch.objects()))


def search_setup(task: TrialTask, space: Space, device: torch.device) -> SearchSetup:
    """Return the network, losses and data of a detection task; the initial weights are those of a trial."""
    dataset = data.load(task.dataset)
    values = fixed_values(space, task.values, task.task)
    detector = untrained(values, dataset, task.seed).to(device)
    if device.type == "cpu":
        with_strips(detector)
    train, validation = (
        SceneBatchSource(SceneBatches.of(split, dataset, side=detector.size[0], device=device, processes=0))
        for split in (dataset.subset(data_share_of(task).share), dataset.validation)
    )
    losses = DetectionLosses(inputs_of(values, dataset, device), bins_of(values), device)
    return SearchSetup(SharedDetector(detector), losses, train, validation)


def _sum(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()

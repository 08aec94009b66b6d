"""Batches of scenes as candidates that detect see them, and what they learn from them. The architecture is fixed.

A candidate is scored by its loss on validation scenes, with the weights of its terms and the power of Quality Focal
Loss as they are by default: its own decide what it learns by, not how good it is. Average precision is 0 for all
candidates as long as a detector finds nothing, and takes decoding, suppression and matching in every step.
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
from workers.autohas.task_interface import Ground, Lesson
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
from workers.training.trial import data_of

_WORST = 40.0
"""What a loss counts as at most: about ten times that of a detector which has learnt nothing."""


@dataclass(frozen=True, slots=True)
class SceneBatch:
    """Scenes as the dataset has them, from which every candidate makes its own."""

    scenes: SceneBatches
    positions: Order
    """(n,) in the split."""
    seed: int = 0
    seen: dict[tuple[DetectionAugmentation | None, int], tuple[DetectionBatch, ...]] = field(default_factory=dict)
    """Squares by what has been done to them and how many they are, made once for all candidates."""

    def __len__(self) -> int:
        return len(self.positions)

    def augmented(self, augmentation: DetectionAugmentation, count: int) -> DetectionBatch:
        """The first `count` of them, in one batch."""
        order = self.positions[:count]
        [found] = self._kept(
            (augmentation, count), lambda: self.scenes.augmented(order, 1, augmentation, self.seed, epoch=0)
        )
        return found

    def plain(self, most: int) -> tuple[DetectionBatch, ...]:
        """All of them, at most so many together."""
        parts = math.ceil(len(self) / most)
        return self._kept((None, most), lambda: self.scenes.plain(parts, self.positions))

    def _kept(
        self, key: tuple[DetectionAugmentation | None, int], made: Callable[[], Iterator[DetectionBatch]]
    ) -> tuple[DetectionBatch, ...]:
        if key not in self.seen:
            self.seen[key] = tuple(made())
        return self.seen[key]


@dataclass(frozen=True, slots=True)
class SceneImages:
    """`workers.autohas.task_interface.Images` of a split."""

    scenes: SceneBatches

    def __len__(self) -> int:
        return len(self.scenes)

    def batches(self, order: Order, seeds: Sequence[int]) -> Iterator[SceneBatch]:
        for part, seed in zip(np.array_split(order, len(seeds)), seeds, strict=True):
            yield SceneBatch(self.scenes, part, seed)


class SceneLessons:
    """`workers.autohas.task_interface.Lessons` of detection."""

    recipe, linear = DETECTION.defaults, "dfl_weight"

    def __init__(self, inputs: Inputs, bins: int, device: torch.device) -> None:
        """`bins`: per side of a box, as the head has them."""
        self.device, self._inputs, self._bins = device, inputs, bins
        self._precision, self._measure = Precision.unscaled(device), OneStageLoss(bins)

    def lesson(self, network: SharedDetector, tensors: Tensors, batch: SceneBatch, values: Mapping[str, Any]) -> Lesson:
        """The candidate's loss on images by its augmentation."""
        recipe, weight = DetectorRecipe.of(values), values[self.linear]
        seen = batch.augmented(DetectionAugmentation(recipe.augmentation, recipe.flip, recipe.color), recipe.batch_size)
        terms = self._terms(network, tensors, seen, OneStageLoss(self._bins, values["qfl_beta"], distribution=1.0))
        distribution = terms.pop("distribution", None)
        loss = _sum(terms)
        if distribution is None:
            return Lesson(loss)
        if isinstance(weight, Tensor):
            return Lesson(loss, loss + distribution, weight)
        return Lesson(loss + weight * distribution)

    def loss(
        self,
        network: SharedDetector,
        tensors: Tensors,
        batch: SceneBatch,
        values: Mapping[str, Any],  # noqa: ARG002 - the same measure for all candidates
    ) -> Tensor:
        """By the default weights of its terms, on images as they are: the mean over images."""
        losses = [
            _sum(self._terms(network, tensors, part, self._measure)) * (len(part) / len(batch))
            for part in batch.plain(self._inputs.batch)
        ]
        return torch.stack(losses).sum()

    def reward(
        self,
        network: SharedDetector,
        tensors: Tensors,
        batch: SceneBatch,
        values: Mapping[str, Any],
        objective: str,  # noqa: ARG002 - the same for all: see the module
    ) -> float:
        """That loss with its sign turned, bounded: a ruined candidate does not decide what the baseline is."""
        loss = float(self.loss(network, tensors, batch, values))
        return -(min(loss, _WORST) if math.isfinite(loss) else _WORST)

    def _terms(
        self, network: SharedDetector, tensors: Tensors, batch: DetectionBatch, measure: OneStageLoss
    ) -> dict[str, Tensor]:
        with self._precision.autocast():
            outputs = network.outputs(self._inputs(batch.images), tensors)
        return measure(outputs, network.anchors(outputs), Targets.of(batch.objects()))


def ground(task: TrialTask, space: Space, device: torch.device) -> Ground:
    """That of a task of detection; the first weights are those of a trial of its seed."""
    dataset = data.load(task.dataset)
    values = fixed_values(space, task.values, task.task)
    detector = untrained(values, dataset, task.seed).to(device)
    if device.type == "cpu":
        with_strips(detector)
    train, validation = (
        SceneImages(SceneBatches.of(one, dataset, side=detector.size[0], device=device, processes=0))
        for one in (dataset.subset(data_of(task).share), dataset.validation)
    )
    lessons = SceneLessons(inputs_of(values, dataset, device), bins_of(values), device)
    return Ground(SharedDetector(detector), lessons, train, validation)


def _sum(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()

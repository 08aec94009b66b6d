"""Batches as candidates that classify see them, and what they learn from them.

A candidate takes as many images as its recipe says, at its resolution, with its augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain.parameters import Scalar
from searchsvc.domain.trial_task import TrialTask
from searchsvc.spaces.recipe import CLASSIFICATION
from searchsvc.spaces.space import Space
from workers.autohas.task_interface import Ground, Lesson
from workers.autohas.updates import Tensors
from workers.data import classification as data
from workers.data.dataset import Dataset
from workers.models.inputs import Inputs
from workers.models.networks import input_shape
from workers.supernet import SharedNetwork, shared_network
from workers.training.classification.augment import Augmentation, mixup, smoothed
from workers.training.classification.splits import Batches, Order, on_device
from workers.training.precision import Precision
from workers.training.recipe import ClassifierRecipe
from workers.training.seeds import INITIAL, generator, torch_seeded
from workers.training.trial import data_of


@dataclass(frozen=True, slots=True)
class Batch:
    """Images as the dataset has them, from which every candidate makes its own."""

    images: Tensor
    """(n, c, h, w) uint8."""
    labels: Tensor
    """(n,)"""
    seed: int = 0
    """All candidates have the same random numbers, from augmentation to dropout: differences are the candidates'."""
    seen: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    """Normalised images by size, made once for all candidates."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class ClassifiedImages:
    """`Images` of a split."""

    split: Batches

    def __len__(self) -> int:
        return len(self.split)

    def batches(self, order: Order, seeds: Sequence[int]) -> Iterator[Batch]:
        for seed, (images, labels) in zip(seeds, self.split.batches(order, len(seeds)), strict=True):
            yield Batch(images, labels, seed)


class Views:
    """`Lessons` of classification: what a candidate makes of batches of one dataset."""

    recipe, linear = CLASSIFICATION.defaults, "label_smoothing"

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.device, self._shape, self._precision = device, dataset.info.shape, Precision.unscaled(device)
        self._classes, self._peak = len(dataset.classes), dataset.peak
        self._mean, self._std = dataset.mean, dataset.std
        self._inputs: dict[tuple[int, int], Inputs] = {}

    def lesson(self, network: SharedNetwork, tensors: Tensors, batch: Batch, values: Mapping[str, Any]) -> Lesson:
        """Cross-entropy with the candidate's label smoothing."""
        images, targets = self.training(batch, ClassifierRecipe.of(values), values)
        logits, smoothing = self._logits(network, tensors, images, regularised=True), values[self.linear]
        if not isinstance(smoothing, Tensor):
            return Lesson(F.cross_entropy(logits, targets, label_smoothing=smoothing))
        return Lesson(F.cross_entropy(logits, targets), -F.log_softmax(logits, 1).mean(), smoothing)

    def loss(self, network: SharedNetwork, tensors: Tensors, batch: Batch, values: Mapping[str, Any]) -> Tensor:
        """Cross-entropy."""
        images = self.validation(batch, values)
        return F.cross_entropy(self._logits(network, tensors, images, regularised=False), batch.labels)

    def reward(
        self, network: SharedNetwork, tensors: Tensors, batch: Batch, values: Mapping[str, Any], objective: str
    ) -> float:
        """Accuracy from 0 to 1, or, where that is the objective, the loss with its sign turned.

        Of weights that are not finite: 0, or ten times the loss of guessing.
        """
        logits = self._logits(network, tensors, self.validation(batch, values), regularised=False)
        if objective == "loss":
            return -_bounded(float(F.cross_entropy(logits, batch.labels)), logits.shape[1])
        right = (logits.argmax(1) == batch.labels) & logits.isfinite().all(1)
        return float(right.double().mean())

    def training(self, batch: Batch, recipe: ClassifierRecipe, values: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Normalised images (m, c, h, w); labels (m,), or with mixup targets (m, K) before any smoothing."""
        random, count = generator(batch.seed, 0), recipe.batch_size
        images, targets = batch.images[:count], batch.labels[:count]
        images = self._normalised(Augmentation.of(recipe, self._peak)(images, random), values)
        if recipe.mixup:
            weight = float(random.beta(recipe.mixup, recipe.mixup))
            images, targets = mixup(images, smoothed(targets, self._classes, 0.0, images.dtype), weight)
        return _channels_last(images), targets

    def validation(self, batch: Batch, values: Mapping[str, Any]) -> Tensor:
        """Normalised images (n, c, h, w)."""
        size = self._size(values)
        if size not in batch.seen:
            batch.seen[size] = _channels_last(self._normalised(batch.images, values))
        return batch.seen[size]

    def _logits(self, network: SharedNetwork, tensors: Tensors, images: Tensor, *, regularised: bool) -> Tensor:
        """(n, K), at least float32."""
        with self._precision.autocast():
            logits = network.logits(images, tensors, regularised=regularised)
        return logits if logits.dtype is torch.float64 else logits.float()

    def _normalised(self, images: Tensor, values: Mapping[str, Any]) -> Tensor:
        size = self._size(values)
        if size not in self._inputs:
            seen = (self._shape[0], *size)
            self._inputs[size] = Inputs.of(self._mean, self._std, self._shape, seen, self.device)
        return self._inputs[size](images)

    def _size(self, values: Mapping[str, Scalar]) -> tuple[int, int]:
        return input_shape(values, self._shape)[1:]


def ground(task: TrialTask, space: Space, device: torch.device) -> Ground:
    """That of a task of classification; the first weights follow from its seed."""
    dataset = data.load(task.dataset)
    with torch_seeded(task.seed, INITIAL, torch.device("cpu")):
        network = shared_network(space, dataset.info.shape, len(dataset.classes), task.values)
    parts = (dataset.subset(data_of(task).share), dataset.validation)
    train, validation = (ClassifiedImages(on_device(one, device, task.threads)) for one in parts)
    return Ground(network.to(device), Views(dataset, device), train, validation)


def _bounded(loss: float, classes: int) -> float:
    """At most ten times that of guessing, so that one ruined candidate does not decide what the baseline is."""
    most = 10.0 * math.log(classes)
    return min(loss, most) if math.isfinite(loss) else most


def _channels_last(images: Tensor) -> Tensor:
    """The same images; those of one channel are told to be channels last too, as their strides leave it open.

    Convolutions follow what they are given, and on a CPU normalisation takes several times as long the other way.
    """
    if images.shape[1] > 1:
        return images.contiguous(memory_format=torch.channels_last)
    _, _, height, width = images.shape
    return images.contiguous().as_strided(images.shape, (height * width, 1, width, 1))


def seed_of(*place: int) -> int:
    """A seed that follows from numbers such as (seed of the trial, step, rank, purpose)."""
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> np.uint64(1))

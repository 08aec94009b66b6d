"""Batches and losses of classifiers in a search with shared weights.

A candidate uses as many images of a batch as its recipe says, at its resolution, with its augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain.parameters import Scalar
from searchsvc.domain.trial_task import TrialTask
from searchsvc.spaces.recipe import CLASSIFICATION
from searchsvc.spaces.space import Space
from workers.autohas.task_interface import SearchSetup, TrainingLoss
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
from workers.training.trial import data_share_of


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Images as stored in the dataset; each candidate derives its inputs from them."""

    images: Tensor
    """(n, c, h, w) uint8."""
    labels: Tensor
    """(n,)"""
    seed: int = 0
    """Seed of all random numbers, from augmentation to dropout.

    It is the same for all candidates, so that differences in their losses come from the candidates.
    """
    seen: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    """Normalised images by (height, width), computed once for all candidates."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class ImageBatchSource:
    """A `BatchSource` of images."""

    split: Batches

    def __len__(self) -> int:
        return len(self.split)

    def batches(self, order: Order, seeds: Sequence[int]) -> Iterator[ImageBatch]:
        for seed, (images, labels) in zip(seeds, self.split.batches(order, len(seeds)), strict=True):
            yield ImageBatch(images, labels, seed)


class ClassificationLosses:
    """The `CandidateLosses` of classification, for batches of a dataset."""

    recipe, linear = CLASSIFICATION.defaults, "label_smoothing"

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.device, self._shape, self._precision = device, dataset.info.shape, Precision.unscaled(device)
        self._classes, self._peak = len(dataset.classes), dataset.peak
        self._mean, self._std = dataset.mean, dataset.std
        self._inputs: dict[tuple[int, int], Inputs] = {}

    def training_loss(
        self, network: SharedNetwork, tensors: Tensors, batch: ImageBatch, values: Mapping[str, Any]
    ) -> TrainingLoss:
        """Return the cross-entropy with the candidate's label smoothing."""
        images, targets = self.training(batch, ClassifierRecipe.of(values), values)
        logits, smoothing = self._logits(network, tensors, images, regularised=True), values[self.linear]
        if not isinstance(smoothing, Tensor):
            return TrainingLoss(F.cross_entropy(logits, targets, label_smoothing=smoothing))
        # smoothed = (1 - s) cross-entropy + s mean of -log p: linear in s
        return TrainingLoss(F.cross_entropy(logits, targets), -F.log_softmax(logits, 1).mean(), smoothing)

    def validation_loss(
        self, network: SharedNetwork, tensors: Tensors, batch: ImageBatch, values: Mapping[str, Any]
    ) -> Tensor:
        """Return the cross-entropy without smoothing."""
        images = self.validation(batch, values)
        return F.cross_entropy(self._logits(network, tensors, images, regularised=False), batch.labels)

    def reward(
        self, network: SharedNetwork, tensors: Tensors, batch: ImageBatch, values: Mapping[str, Any], objective: str
    ) -> float:
        """Return the accuracy from 0 to 1, or the negative loss if the objective is the loss.

        Weights that are not finite get an accuracy of 0, or a loss of ten times that of guessing.
        """
        logits = self._logits(network, tensors, self.validation(batch, values), regularised=False)  # (n, K)
        if objective == "loss":
            return -_bounded(float(F.cross_entropy(logits, batch.labels)), logits.shape[1])
        correct = (logits.argmax(1) == batch.labels) & logits.isfinite().all(1)  # (n,)
        return float(correct.double().mean())

    def training(self, batch: ImageBatch, recipe: ClassifierRecipe, values: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Return normalised images (m, c, h, w), and labels (m,) or, with mixup, targets (m, K) without smoothing."""
        random, count = generator(batch.seed, 0), recipe.batch_size
        images, targets = batch.images[:count], batch.labels[:count]  # (m, c, h, w), (m,)
        images = self._normalised(Augmentation.of(recipe, self._peak)(images, random), values)
        if recipe.mixup:
            weight = float(random.beta(recipe.mixup, recipe.mixup))
            images, targets = mixup(images, smoothed(targets, self._classes, 0.0, images.dtype), weight)
        return _channels_last(images), targets

    def validation(self, batch: ImageBatch, values: Mapping[str, Any]) -> Tensor:
        """Return normalised images (n, c, h, w)."""
        size = self._size(values)
        if size not in batch.seen:
            batch.seen[size] = _channels_last(self._normalised(batch.images, values))
        return batch.seen[size]

    def _logits(self, network: SharedNetwork, tensors: Tensors, images: Tensor, *, regularised: bool) -> Tensor:
        """Return logits (n, K), in float32 or float64."""
        with self._precision.autocast():
            logits = network.logits(images, tensors, regularised=regularised)
        return logits if logits.dtype is torch.float64 else logits.float()

    def _normalised(self, images: Tensor, values: Mapping[str, Any]) -> Tensor:
        size = self._size(values)
        if size not in self._inputs:
            resized = (self._shape[0], *size)
            self._inputs[size] = Inputs.of(self._mean, self._std, self._shape, resized, self.device)
        return self._inputs[size](images)

    def _size(self, values: Mapping[str, Scalar]) -> tuple[int, int]:
        return input_shape(values, self._shape)[1:]


def search_setup(task: TrialTask, space: Space, device: torch.device) -> SearchSetup:
    """Return the network, losses and data of a classification task; the initial weights follow from its seed."""
    dataset = data.load(task.dataset)
    with torch_seeded(task.seed, INITIAL, torch.device("cpu")):
        network = shared_network(space, dataset.info.shape, len(dataset.classes), task.values)
    splits = (dataset.subset(data_share_of(task).share), dataset.validation)
    train, validation = (ImageBatchSource(on_device(split, device, task.threads)) for split in splits)
    return SearchSetup(network.to(device), ClassificationLosses(dataset, device), train, validation)


def _bounded(loss: float, classes: int) -> float:
    """Cap a loss at ten times the loss of guessing, so that a ruined candidate does not determine the baseline."""
    cap = 10.0 * math.log(classes)
    return min(loss, cap) if math.isfinite(loss) else cap


def _channels_last(images: Tensor) -> Tensor:
    """Return the images in channels-last layout, also with a single channel.

    With one channel the strides fit either layout. Convolutions follow the layout of their input, and on a CPU
    normalisation is several times slower in the other layout.
    """
    if images.shape[1] > 1:
        return images.contiguous(memory_format=torch.channels_last)
    _, _, height, width = images.shape
    return images.contiguous().as_strided(images.shape, (height * width, 1, width, 1))

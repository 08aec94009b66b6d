"""Batches as candidates see them: as many images as they take, at their resolution, with their augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from searchsvc.domain.parameters import Scalar
from workers.data.dataset import Dataset
from workers.models.inputs import Inputs
from workers.models.networks import input_shape
from workers.training.augment import Augmentation, mixup, smoothed
from workers.training.recipe import ClassifierRecipe
from workers.training.seeds import generator


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


class Views:
    """What a candidate makes of batches of one dataset."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.device, self._shape = device, dataset.info.shape
        self._classes, self._peak = len(dataset.classes), dataset.peak
        self._mean, self._std = dataset.mean, dataset.std
        self._inputs: dict[tuple[int, int], Inputs] = {}

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

    def _normalised(self, images: Tensor, values: Mapping[str, Any]) -> Tensor:
        size = self._size(values)
        if size not in self._inputs:
            seen = (self._shape[0], *size)
            self._inputs[size] = Inputs.of(self._mean, self._std, self._shape, seen, self.device)
        return self._inputs[size](images)

    def _size(self, values: Mapping[str, Scalar]) -> tuple[int, int]:
        return input_shape(values, self._shape)[1:]


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

"""The training loop: one network, one recipe, epoch by epoch.

On the CPU the same (values, seed, data, threads) give the same bits, with or without interruptions: random numbers come
from (seed, epoch), everything else is in `state()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain.states import FailureKind
from searchsvc.errors import TrialFailed
from workers.data.dataset import Dataset, Split
from workers.models import build
from workers.training import optimizers
from workers.training.augment import flip, mixup, shift, smoothed
from workers.training.ema import WeightAverage
from workers.training.recipe import Recipe
from workers.training.seeds import INITIAL, generator, torch_seeded

_STEPS_BETWEEN_CHECKS = 32


@dataclass(frozen=True, slots=True)
class DeviceSplit:
    """A split on the device that trains, still uint8, and how its images are normalised."""

    images: Tensor
    """(n, c, h, w) uint8, channels last in memory."""
    labels: Tensor
    mean: Tensor
    """(1, c, 1, 1)"""
    scale: Tensor
    """(1, c, 1, 1), one over the standard deviation."""

    @classmethod
    def of(cls, split: Split, dataset: Dataset, device: torch.device) -> DeviceSplit:
        shape = (1, -1, 1, 1)
        return cls(
            torch.from_numpy(split.images).to(device, memory_format=torch.channels_last),
            torch.from_numpy(split.labels).to(device),
            torch.tensor(dataset.mean, device=device).view(shape),
            1.0 / torch.tensor(dataset.std, device=device).view(shape),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def normalised(self, index: Tensor | slice) -> Tensor:
        """(m, c, h, w) float32."""
        images = self.images[index].to(torch.float32, memory_format=torch.channels_last)
        return images.sub_(self.mean).mul_(self.scale)


class Trainer:
    """Owns the weights of a trial while it is trained."""

    def __init__(
        self,
        values: Mapping[str, Any],
        train: DeviceSplit,
        *,
        classes: int,
        epochs: int,
        seed: int,
        device: torch.device,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`check` is called every few steps; what it raises ends the epoch."""
        self._train, self._classes, self._seed, self._device, self._check = train, classes, seed, device, check
        self._recipe = Recipe.of(values)
        self._batches = math.ceil(len(train) / self._recipe.batch_size)
        self._total = epochs * self._batches
        self._step = 0
        _, channels, height, width = train.images.shape
        with torch_seeded(seed, INITIAL, device):
            self.model = build(values, (channels, height, width), classes)
        self.model.to(device).to(memory_format=torch.channels_last)
        self._optimizer = optimizers.create(self.model, self._recipe)
        self._average = WeightAverage(self.model, self._recipe.ema_decay) if self._recipe.ema else None

    @property
    def evaluated(self) -> nn.Module:
        """The model that is measured and kept: the average of the weights where the recipe says so."""
        return self._average.module if self._average else self.model

    def train_epoch(self, epoch: int) -> float:
        """Train epoch 1, 2, ... and return its mean loss. Raises TrialFailed (DIVERGED)."""
        random = generator(self._seed, epoch)
        order = torch.from_numpy(random.permutation(len(self._train))).to(self._device)
        self.model.train()
        total = torch.zeros((), device=self._device)
        with torch_seeded(self._seed, epoch, self._device):
            for number, index in enumerate(torch.tensor_split(order, self._batches)):
                total += self._train_step(index, random) * len(index)
                if number % _STEPS_BETWEEN_CHECKS == _STEPS_BETWEEN_CHECKS - 1:
                    self._check()
                    _check_finite(total, epoch)
        return _check_finite(total, epoch) / len(order)

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on."""
        return {
            "step": self._step,
            "model": self.model.state_dict(),
            "average": self._average.module.state_dict() if self._average else None,
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()` of a trainer that was made with the same arguments."""
        self._step = state["step"]
        self.model.load_state_dict(state["model"])
        if self._average:
            self._average.module.load_state_dict(state["average"])
        optimizers.restore(self._optimizer, state["optimizer"])

    def _train_step(self, index: Tensor, random: np.random.Generator) -> Tensor:
        """One step of the optimiser; the loss stays on the device."""
        images, targets = self._batch(index, random)
        optimizers.set_learning_rate(
            self._optimizer, optimizers.learning_rate(self._recipe.lr, self._step, self._total)
        )
        with autocast(self._device):
            logits = self.model(images)
        loss = F.cross_entropy(logits.float(), targets)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._step += 1
        if self._average:
            self._average.update(self._step)
        return loss.detach()

    def _batch(self, index: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Augmented images (m, c, h, w), and targets: labels (m,), or (m, K) where they are soft."""
        recipe, labels = self._recipe, self._train.labels[index]
        images = self._train.normalised(index)
        if recipe.shift:
            images = shift(images, recipe.shift, random)
        if recipe.flip:
            images = flip(images, random)
        if not (recipe.mixup or recipe.label_smoothing):
            return images, labels
        targets = smoothed(labels, self._classes, recipe.label_smoothing)
        if recipe.mixup:
            images, targets = mixup(images, targets, float(random.beta(recipe.mixup, recipe.mixup)))
        return images, targets


def autocast(device: torch.device) -> torch.autocast:
    """Mixed precision on GPUs that have bfloat16, whose range needs no scaling of the loss; elsewhere nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" and torch.cuda.is_bf16_supported())


def _check_finite(total: Tensor, epoch: int) -> float:
    value = float(total)
    if not math.isfinite(value):
        raise TrialFailed(FailureKind.DIVERGED, f"the training loss became {value} in epoch {epoch}")
    return value

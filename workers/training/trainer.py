"""The training loop: one network, one recipe, epoch by epoch.

On the CPU the same (values, seed, data, threads) give the same bits, with or without interruptions: random numbers come
from (seed, epoch), everything else is in `state()`. A step leaves its loss on the device and waits for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain.states import FailureKind
from searchsvc.errors import TrialFailed
from searchsvc.spaces.networks import completed
from workers.data.dataset import Dataset
from workers.models.inputs import Inputs
from workers.models.networks import build, input_shape
from workers.training import optimizers
from workers.training.augment import Augmentation, mixup, smoothed
from workers.training.depthwise import with_strips
from workers.training.ema import WeightAverage
from workers.training.precision import Precision
from workers.training.recipe import Recipe
from workers.training.schedule import Schedule
from workers.training.seeds import INITIAL, generator, torch_seeded
from workers.training.splits import Batches

_STEPS_BETWEEN_CHECKS = 32


def untrained(values: Mapping[str, Any], dataset: Dataset, seed: int) -> nn.Module:
    """The network of a trial with its first weights, which follow from the seed: on every device the same."""
    with torch_seeded(seed, INITIAL, torch.device("cpu")):
        return build(values, dataset.info.shape, len(dataset.classes))


class Trainer:
    """Owns the weights of a trial while it is trained."""

    def __init__(
        self,
        model: nn.Module,
        values: Mapping[str, Any],
        train: Batches,
        dataset: Dataset,
        *,
        epochs: int,
        seed: int,
        device: torch.device,
        compiled: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`train`: what of `dataset` the model is trained on, by the recipe in `values`.

        `compiled`: on a GPU, by torch.compile; it takes a minute per network and pays for long trainings. `check` is
        called every few steps; what it raises ends the epoch.
        """
        self._train, self._seed, self._device, self._check = train, seed, device, check
        self._classes = len(dataset.classes)
        self._recipe = Recipe.of(completed(values))
        self._batches = math.ceil(len(train) / self._recipe.batch_size)
        self._schedule = Schedule.of(self._recipe, epochs, self._batches)
        self._step = 0
        self.model = with_strips(model) if device.type == "cpu" else model.to(device)
        self.model.to(memory_format=torch.channels_last)
        self._network = torch.compile(self.model, dynamic=False) if compiled and device.type == "cuda" else self.model
        self.precision = Precision.of(device)
        shape = dataset.info.shape
        self.inputs = Inputs.of(dataset.mean, dataset.std, shape, input_shape(values, shape), device)
        self._augmentation = Augmentation.of(self._recipe, dataset.peak)
        self._optimizer = optimizers.create(self.model, self._recipe)
        self._average = WeightAverage(self.model, self._recipe.ema_decay) if self._recipe.ema else None

    @property
    def evaluated(self) -> nn.Module:
        """The model that is measured and kept: the average of the weights where the recipe says so."""
        return self._average.module if self._average else self.model

    def train_epoch(self, epoch: int) -> float:
        """Train epoch 1, 2, ... and return its mean loss. Raises TrialFailed (DIVERGED)."""
        random = generator(self._seed, epoch)
        order = random.permutation(len(self._train))
        self.model.train()
        total = torch.zeros((), device=self._device)
        with torch_seeded(self._seed, epoch, self._device):
            for number, (images, labels) in enumerate(self._train.batches(order, self._batches)):
                total += self._train_step(images, labels, random) * len(labels)
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
            "precision": self.precision.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()` of a trainer that was made with the same arguments."""
        self._step = state["step"]
        self.model.load_state_dict(state["model"])
        if self._average:
            self._average.module.load_state_dict(state["average"])
        optimizers.restore(self._optimizer, state["optimizer"])
        self.precision.restore(state["precision"])

    def _train_step(self, images: Tensor, labels: Tensor, random: np.random.Generator) -> Tensor:
        """One step of the optimiser on uint8 images (m, c, h, w) and labels (m,)."""
        optimizers.set_learning_rate(self._optimizer, self._schedule.rate(self._step))
        inputs = self.inputs(self._augmentation(images, random))
        loss = self._loss(inputs, labels, random)
        self.precision.step(loss, self._optimizer)
        self._step += 1
        if self._average:
            self._average.update(self._step)
        return loss.detach()

    def _loss(self, inputs: Tensor, labels: Tensor, random: np.random.Generator) -> Tensor:
        """Mean cross-entropy with mixup and label smoothing; without mixup, smoothing is part of the loss's kernel."""
        recipe, targets, smoothing = self._recipe, labels, self._recipe.label_smoothing
        if recipe.mixup:
            weight = float(random.beta(recipe.mixup, recipe.mixup))
            inputs, targets = mixup(inputs, smoothed(labels, self._classes, smoothing), weight)
            smoothing = 0.0
        with self.precision.autocast():
            logits = self._network(inputs)
        return F.cross_entropy(logits.float(), targets, label_smoothing=smoothing)


def _check_finite(total: Tensor, epoch: int) -> float:
    value = float(total)
    if not math.isfinite(value):
        raise TrialFailed(FailureKind.DIVERGED, f"the training loss became {value} in epoch {epoch}")
    return value

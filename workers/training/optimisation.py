"""Optimisation of a network's weights: an optimiser with a schedule, mixed precision, and the weight average.

A step leaves its loss on the device and does not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from searchsvc.errors import FailureKind, TrialFailed
from workers.models.stages import frozen
from workers.training import optimizers
from workers.training.depthwise import with_strips
from workers.training.ema import WeightAverage
from workers.training.precision import Precision
from workers.training.recipe import Recipe
from workers.training.schedule import Schedule

_STEPS_BETWEEN_CHECKS = 32
Losses: TypeAlias = Mapping[str, Tensor]
"""Means over the images of a batch, by name: () each, without a gradient."""
Model = TypeVar("Model", bound=nn.Module)


class Optimisation(Generic[Model]):
    """Owns the weights of a network while it is trained."""

    def __init__(self, model: Model, recipe: Recipe, *, images: int, epochs: int, device: torch.device) -> None:
        """Prepare a model for training. `images`: number of images per epoch."""
        self.batches = math.ceil(images / recipe.batch_size)
        """Of an epoch, one step each."""
        self.model: Model = with_strips(model) if device.type == "cpu" else model.to(device)  # type: ignore[assignment]
        self.model.to(memory_format=torch.channels_last)
        self.precision = Precision.of(device)
        self._frozen = frozen(self.model, recipe.frozen_stages)
        self._schedule = Schedule.of(recipe, epochs, self.batches)
        self._step = 0
        self._optimizer, self._clip_norm = optimizers.create(self.model, recipe), recipe.clip_norm
        self._average = WeightAverage(self.model, recipe.ema_decay) if recipe.ema else None

    @property
    def evaluated(self) -> Model:
        """The model that is measured and stored: the average of the weights if the recipe says so."""
        return self._average.module if self._average else self.model  # type: ignore[return-value]

    def begin_epoch(self) -> None:
        """Put the model in training mode, except its frozen modules."""
        self.model.train()
        for module in self._frozen:
            module.eval()

    def step(self, loss: Tensor, *others: Optimizer) -> None:
        """Take a step down the gradient of a loss, and a step of other optimisers that share the loss."""
        optimizers.set_learning_rate(self._optimizer, self._schedule.rate(self._step))
        self.precision.step(loss, self._optimizer, *others, clip_norm=self._clip_norm)
        self._step += 1
        if self._average:
            self._average.update(self._step)

    def state(self) -> dict[str, Any]:
        """Return all state that the next step depends on."""
        return {
            "step": self._step,
            "model": self.model.state_dict(),
            "average": self._average.module.state_dict() if self._average else None,
            "optimizer": self._optimizer.state_dict(),
            "precision": self.precision.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of an optimisation that was created with the same arguments."""
        self._step = state["step"]
        self.model.load_state_dict(state["model"])
        if self._average:
            self._average.module.load_state_dict(state["average"])
        optimizers.restore(self._optimizer, state["optimizer"])
        self.precision.restore(state["precision"])


def mean_losses(steps: Iterable[tuple[Losses, int]], epoch: int, check: Callable[[], None]) -> dict[str, float]:
    """Return the mean losses of an epoch over its images.

    `steps` trains when it is iterated, and yields a batch's losses and number of images. `check` is called every few
    steps; an exception that it raises ends the epoch. Raises TrialFailed (DIVERGED).
    """
    totals, images = dict[str, Tensor](), 0
    for number, (losses, count) in enumerate(steps):
        for name, loss in losses.items():
            totals[name] = totals[name] + loss * count if name in totals else loss * count
        images += count
        if number % _STEPS_BETWEEN_CHECKS == _STEPS_BETWEEN_CHECKS - 1:
            check()
            _finite(totals, epoch)
    return {name: total / images for name, total in _finite(totals, epoch).items()}


def _finite(totals: Mapping[str, Tensor], epoch: int) -> dict[str, float]:
    values = {name: float(total) for name, total in totals.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise TrialFailed(FailureKind.DIVERGED, f"{name} became {value} in epoch {epoch}")
    return values

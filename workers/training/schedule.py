"""The learning rate of each step: a linear rise to the peak, then half a cosine or a decay from epoch to epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from workers.training.recipe import Recipe

_WARM_UP = 0.1
"""Share of all steps in which the rate rises, if the recipe sets no number of epochs."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rates `rate(step)` of the steps 0, ..., total - 1 of a training."""

    peak: float
    warm: int
    """Number of steps of the rise; the last of them has the peak rate."""
    total: int
    steps_per_epoch: int
    decay: float
    """Factor per epoch, as FBNetV3 and EfficientNet are trained; 0: half a cosine to 0 instead."""

    @classmethod
    def of(cls, recipe: Recipe, epochs: int, steps_per_epoch: int) -> Schedule:
        total = epochs * steps_per_epoch
        warm = recipe.warmup_epochs * steps_per_epoch if recipe.warmup_epochs else _WARM_UP * total
        return cls(recipe.peak_lr, max(1, round(warm)), total, steps_per_epoch, recipe.lr_decay)

    def rate(self, step: int) -> float:
        """Return the rate of a step, which is positive. The cosine has no restarts: arXiv 1608.03983."""
        if step < self.warm:
            return self.peak * (step + 1) / self.warm
        if self.decay:
            return self.peak * self.decay ** ((step - self.warm) // self.steps_per_epoch)
        return self.peak * 0.5 * (1.0 + math.cos(math.pi * (step - self.warm) / max(1, self.total - self.warm)))

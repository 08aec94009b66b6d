"""The recipe half of a candidate: how a network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from searchsvc.domain.parameters import Scalar


@dataclass(frozen=True, slots=True)
class Recipe:
    """Parameters that all tasks share, named as in `searchsvc.spaces.recipe`, which explains each.

    Dropout, stochastic depth and resolution are absent, because they are part of the network. So are the initial
    weights, the share of the data and the repetition, which are decided before a training begins.
    """

    optimizer: str
    lr: float
    sgd_lr_scale: float
    momentum: float
    weight_decay: float
    warmup_epochs: float
    lr_decay: float
    batch_size: int
    clip_norm: float
    ema: bool
    ema_decay: float
    layer_decay: float
    frozen_stages: int
    augmentation: str

    @property
    def peak_lr(self) -> float:
        """The learning rate after the warm-up, on the optimiser's own scale."""
        return self.lr * self.sgd_lr_scale if self.optimizer == "sgd" else self.lr

    @classmethod
    def of(cls, values: Mapping[str, Scalar]) -> Self:
        """Return the recipe among complete values."""
        by_name: Mapping[str, Any] = values
        return cls(**{field.name: by_name[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class ClassifierRecipe(Recipe):
    """The recipe of a classifier."""

    class_loss: str
    clean_folds: int
    mixup: float
    label_smoothing: float
    shift: float
    flip: bool
    randaugment: float


@dataclass(frozen=True, slots=True)
class DetectorRecipe(Recipe):
    """The recipe of a detector; parameters of its loss are in `workers.losses.one_stage`."""

    flip: bool
    color: float

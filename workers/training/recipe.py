"""The recipe half of a candidate: how a network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from searchsvc.domain.parameters import Scalar


@dataclass(frozen=True, slots=True)
class Recipe:
    """What all tasks share: one value per parameter of `searchsvc.spaces.recipe`, which says what each means.

    Dropout, stochastic depth and resolution are not here: they are part of the network. Nor are the first weights, the
    part of the data and the repetition, which are decided before a training begins.
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
        """The rate after the warm-up, on the optimiser's own scale."""
        return self.lr * self.sgd_lr_scale if self.optimizer == "sgd" else self.lr

    @classmethod
    def of(cls, values: Mapping[str, Scalar]) -> Self:
        """Pick the recipe from complete values (`searchsvc.spaces.networks.complete`)."""
        given: Mapping[str, Any] = values
        return cls(**{field.name: given[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class ClassifierRecipe(Recipe):
    """That of a classifier."""

    class_loss: str
    clean_folds: int
    mixup: float
    label_smoothing: float
    shift: float
    flip: bool
    randaugment: float


@dataclass(frozen=True, slots=True)
class DetectorRecipe(Recipe):
    """That of a detector; what its loss takes is in `workers.losses.one_stage`."""

    flip: bool
    color: float

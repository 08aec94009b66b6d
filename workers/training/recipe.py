"""The recipe half of a candidate: how a network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces.recipe import DEFAULTS


@dataclass(frozen=True, slots=True)
class Recipe:
    """One value per recipe parameter of `searchsvc.spaces.recipe` that is not part of the network."""

    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    batch_size: int
    mixup: float
    """Alpha of the beta distribution that lambda is drawn from; 0: no mixup."""
    label_smoothing: float
    ema: bool
    ema_decay: float
    shift: float
    """Largest shift of an image, as a share of its sides."""
    flip: bool
    """Mirror every other image, left to right."""

    @classmethod
    def of(cls, values: Mapping[str, Scalar]) -> Self:
        """The recipe in the values of a candidate; defaults where it gives none."""
        known: dict[str, Any] = {**DEFAULTS, **values}
        return cls(**{field.name: known[field.name] for field in fields(cls)})

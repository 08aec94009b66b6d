"""Steps of optimisers as functions of weights, gradients, slots and hyperparameters, which may have gradients.

They equal the in-place steps of `workers.training.optimizers`. Slots are the numbers that an optimiser stores per
weight. All tensors of a step have the shape of the weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor

Number: TypeAlias = float | Tensor
"""A constant, or a scalar () with a gradient."""
Tensors: TypeAlias = Mapping[str, Tensor]
"""By the names of the weights."""
Slots: TypeAlias = Mapping[str, Tensor]
"""Slots of a weight, by name."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Hyperparameters of a step."""

    shares: Mapping[str, Number]
    """Optimiser -> its share of the step: 1 for the chosen optimiser; shares of 0 may have gradients."""
    rates: Mapping[str, Number]
    """Optimiser -> learning rate, on its own scale."""
    weight_decay: Number
    momentum: Number


@dataclass(frozen=True, slots=True)
class Update:
    """The step of an optimiser for a single weight."""

    slots: Mapping[str, float]
    """Name -> initial value."""
    step: Callable[[Tensor, Tensor, Slots, Number, Number, Number], tuple[Tensor, Slots]]
    """(weight, gradient, slots, rate, decay, momentum) -> (weight, slots)."""


def _sgd(
    weight: Tensor, gradient: Tensor, slots: Slots, rate: Number, decay: Number, momentum: Number
) -> tuple[Tensor, Slots]:
    """Nesterov's momentum, as in torch."""
    gradient = gradient + decay * weight
    velocity = momentum * slots["velocity"] + gradient
    return weight - rate * (gradient + momentum * velocity), {"velocity": velocity}


def _rmsprop(
    weight: Tensor, gradient: Tensor, slots: Slots, rate: Number, decay: Number, momentum: Number
) -> tuple[Tensor, Slots]:
    """RMSprop as in TensorFlow: see `workers.training.optimizers`."""
    gradient = gradient + decay * weight
    square = slots["square"] + 0.1 * (gradient**2 - slots["square"])  # v <- 0.9 v + 0.1 g^2
    velocity = momentum * slots["velocity"] + rate * gradient / torch.sqrt(square + 1e-3)
    return weight - velocity, {"square": square, "velocity": velocity}


def _adamw(
    weight: Tensor, gradient: Tensor, slots: Slots, rate: Number, decay: Number, _: Number
) -> tuple[Tensor, Slots]:
    """AdamW; each weight counts its own steps, since some weights are trained more often than others."""
    steps = slots["steps"] + 1.0
    mean = slots["mean"] + 0.1 * (gradient - slots["mean"])
    square = slots["square"] + 0.001 * (gradient**2 - slots["square"])
    scale = torch.sqrt(square / (1.0 - 0.999**steps)) + 1e-8  # corrected for the start at 0
    moved = weight * (1.0 - rate * decay) - rate * (mean / (1.0 - 0.9**steps)) / scale
    return moved, {"mean": mean, "square": square, "steps": steps}


UPDATES: Mapping[str, Update] = MappingProxyType(
    {
        "sgd": Update({"velocity": 0.0}, _sgd),
        "rmsprop": Update({"square": 1.0, "velocity": 0.0}, _rmsprop),
        "adamw": Update({"mean": 0.0, "square": 0.0, "steps": 0.0}, _adamw),
    }
)


def stepped(
    weights: Tensors, gradients: Tensors, slots: Mapping[str, Mapping[str, Slots]], hyper: Hyperparameters
) -> tuple[dict[str, Tensor], dict[str, dict[str, Slots]]]:
    """Return (weights, slots) after a step; nothing is changed in place.

    `slots`: optimiser -> weight -> slots. Biases, scales and shifts do not decay.
    """
    moved: dict[str, Tensor] = {}
    new_slots: dict[str, dict[str, Slots]] = {name: {} for name in hyper.shares}
    for name, weight in weights.items():
        decay = hyper.weight_decay if weight.ndim > 1 else 0.0
        result: Tensor | float = 0.0  # mixture of the optimisers' results, so that their shares get gradients
        for optimizer, share in hyper.shares.items():
            after, new_slots[optimizer][name] = UPDATES[optimizer].step(
                weight, gradients[name], slots[optimizer][name], hyper.rates[optimizer], decay, hyper.momentum
            )
            result = result + share * after
        assert isinstance(result, Tensor)
        moved[name] = result
    return moved, new_slots

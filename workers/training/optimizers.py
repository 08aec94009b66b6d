"""Optimisers by name. All update every weight in a handful of kernels: fused, or over lists of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from timm.optim import RMSpropTF
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from workers.training.recipe import Recipe

Groups = Iterable[Mapping[str, Any]]


def _sgd(groups: Groups, recipe: Recipe) -> Optimizer:
    nesterov = recipe.momentum > 0
    return SGD([dict(group) for group in groups], recipe.peak_lr, recipe.momentum, nesterov=nesterov, fused=True)


def _rmsprop(groups: Groups, recipe: Recipe) -> Optimizer:
    """As TensorFlow has it and MobileNet, EfficientNet and FBNetV3 were trained.

    v <- 0.9 v + 0.1 g^2, starting at 1;  b <- m b + lr g / sqrt(v + 0.001);  w <- w - b.
    """
    optimizer: Optimizer = RMSpropTF(
        [dict(group) for group in groups], recipe.peak_lr, alpha=0.9, eps=1e-3, momentum=recipe.momentum, foreach=True
    )
    return optimizer


def _adamw(groups: Groups, recipe: Recipe) -> Optimizer:
    return AdamW([dict(group) for group in groups], recipe.peak_lr, fused=True)


OPTIMIZERS: Mapping[str, Callable[[Groups, Recipe], Optimizer]] = MappingProxyType(
    {"sgd": _sgd, "rmsprop": _rmsprop, "adamw": _adamw}
)


def create(model: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's optimiser; weights decay, but biases and the scales and shifts of normalisation do not.

    Nor do the parameters that a module's `undecayed()` gives, as that of the official `workers.models.blocks.dnl`.
    """
    spared = _spared(model)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = (
        {"params": [one for one in parameters if one not in spared], "weight_decay": recipe.weight_decay},
        {"params": [one for one in parameters if one in spared], "weight_decay": 0.0},
    )
    return OPTIMIZERS[recipe.optimizer](groups, recipe)


def _spared(model: nn.Module) -> set[nn.Parameter]:
    """The parameters that do not decay; tensors are hashed and found by identity."""
    asked = {one for module in model.modules() for one in getattr(module, "undecayed", tuple)()}
    return asked | {one for one in model.parameters() if one.ndim <= 1}


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """For all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def restore(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Load a state_dict, tensors laid out in memory as their parameters are (fused kernels go by memory order)."""
    optimizer.load_state_dict(dict(state))
    for parameter, slots in optimizer.state.items():
        for name, slot in slots.items():
            if torch.is_tensor(slot) and slot.shape == parameter.shape and slot.stride() != parameter.stride():
                slots[name] = torch.empty_like(parameter, dtype=slot.dtype).copy_(slot)

"""Optimisers by name, and the learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer, RMSprop

from workers.training.recipe import Recipe

_WARM_UP = 0.1
"""Share of all steps in which the rate rises from 0."""

Groups = Iterable[Mapping[str, Any]]


def _sgd(groups: Groups, recipe: Recipe) -> Optimizer:
    nesterov = recipe.momentum > 0
    return SGD([dict(group) for group in groups], recipe.lr, recipe.momentum, nesterov=nesterov, fused=True)


def _rmsprop(groups: Groups, recipe: Recipe) -> Optimizer:
    """As MobileNet and EfficientNet set it (decay 0.9), but for epsilon."""
    return RMSprop(
        [dict(group) for group in groups], recipe.lr, alpha=0.9, eps=1e-3, momentum=recipe.momentum, foreach=True
    )


def _adamw(groups: Groups, recipe: Recipe) -> Optimizer:
    return AdamW([dict(group) for group in groups], recipe.lr, fused=True)


OPTIMIZERS: Mapping[str, Callable[[Groups, Recipe], Optimizer]] = MappingProxyType(
    {"sgd": _sgd, "rmsprop": _rmsprop, "adamw": _adamw}
)


def create(model: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's optimiser; weights decay, but biases and the scales and shifts of normalisation do not."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = (
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    )
    return OPTIMIZERS[recipe.optimizer](groups, recipe)


def learning_rate(peak: float, step: int, total: int) -> float:
    """Rate of step 0, ..., total - 1: a linear rise, then half a cosine towards 0 (arXiv 1608.03983, no restarts)."""
    warm = max(1, round(_WARM_UP * total))
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


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

"""Optimisers by name. All update every weight in a few kernels: fused, or over lists of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from timm.optim import RMSpropTF
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from workers.models.stages import parts_of
from workers.training.recipe import Recipe

Groups = Iterable[Mapping[str, Any]]
_SCALE = "lr_scale"
"""Key of a group's factor of the learning rate; timm's schedulers use the same key."""


def _sgd(groups: Groups, recipe: Recipe) -> Optimizer:
    nesterov = recipe.momentum > 0
    return SGD([dict(group) for group in groups], recipe.peak_lr, recipe.momentum, nesterov=nesterov, fused=True)


def _rmsprop(groups: Groups, recipe: Recipe) -> Optimizer:
    """RMSprop as in TensorFlow, with which MobileNet, EfficientNet and FBNetV3 were trained.

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
    """Return the recipe's optimiser. Weights decay, but biases and the scales and shifts of normalisation do not.

    Parameters in a module's `undecayed()` do not decay either, as in the official code of `workers.models.blocks.dnl`.
    """
    spared = _spared(model)
    groups = [
        {"params": group, "weight_decay": decay, _SCALE: scale}
        for scale, parameters in _scaled(model, recipe.layer_decay)
        for group, decay in (
            ([each for each in parameters if each not in spared], recipe.weight_decay),
            ([each for each in parameters if each in spared], 0.0),
        )
    ]
    return OPTIMIZERS[recipe.optimizer](groups, recipe)


def _scaled(model: nn.Module, decay: float) -> list[tuple[float, list[nn.Parameter]]]:
    """Return (factor of the rate, trained parameters) of each part of the model.

    The last part has factor 1; each earlier part has `decay` times the factor of the part after it. Weights outside all
    parts learn like the last part (arXiv 1801.06146, 3.2; arXiv 2003.10555, appendix A).
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if decay == 1.0:
        return [(1.0, trained)]
    *lower, _ = parts_of(model)
    part_of = {
        parameter: part for part, modules in enumerate(lower) for module in modules for parameter in module.parameters()
    }
    groups: list[list[nn.Parameter]] = [[] for _ in range(len(lower) + 1)]
    for parameter in trained:
        groups[part_of.get(parameter, len(lower))].append(parameter)
    return [(decay ** (len(lower) - part), parameters) for part, parameters in enumerate(groups) if parameters]


def _spared(model: nn.Module) -> set[nn.Parameter]:
    """Return the parameters that do not decay; tensors are hashed and compared by identity."""
    declared = {parameter for module in model.modules() for parameter in getattr(module, "undecayed", tuple)()}
    return declared | {parameter for parameter in model.parameters() if parameter.ndim <= 1}


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate; each group of parameters scales it by its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(_SCALE, 1.0)


def restore(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Load a state_dict with tensors in the memory layout of their parameters (fused kernels use memory order)."""
    optimizer.load_state_dict(dict(state))
    for parameter, slots in optimizer.state.items():
        for name, slot in slots.items():
            if torch.is_tensor(slot) and slot.shape == parameter.shape and slot.stride() != parameter.stride():
                slots[name] = torch.empty_like(parameter, dtype=slot.dtype).copy_(slot)

"""Losses of classifiers: one choice among all classes, or a yes or no to each (arXiv 2006.07159, section 5).

| symbol | meaning | shape |
|---|---|---|
| logits | of n images and K classes | (n, K) |
| targets | indices of classes, or the target probability of each class | (n,) or (n, K) |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from workers.training.classification.augment import smoothed


def class_loss(kind: str, logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Return the mean loss over images, (); `kind` is a name of LOSSES."""
    return LOSSES[kind](logits, targets, smoothing)


def softmax_loss(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Return the cross-entropy, ()."""
    return F.cross_entropy(logits, targets, label_smoothing=smoothing)


def sigmoid_loss(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Return the binary cross-entropy, summed over classes, ().

    If an image shows further classes, this loss does not push them down to raise the labelled class; softmax does.
    """
    if targets.ndim == 1:
        targets = smoothed(targets, logits.shape[1], smoothing)  # (n, K)
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(logits)


LOSSES: Mapping[str, Callable[[Tensor, Tensor, float], Tensor]] = MappingProxyType(
    {"softmax": softmax_loss, "sigmoid": sigmoid_loss}
)
"""The losses of `searchsvc.spaces.recipe.CLASSIFIER_LOSSES`: from logits, targets and label smoothing."""


def start_rare(network: nn.Module, classes: int) -> None:
    """Set the initial probability of every class to about 1 / `classes`; otherwise the first steps only learn that."""
    *_, last = (module for module in network.modules() if isinstance(module, nn.Linear))
    with torch.no_grad():
        last.bias.fill_(-math.log(classes))

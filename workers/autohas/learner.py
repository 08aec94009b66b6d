"""What AutoHAS looks one step ahead with: a supernet, and what each optimiser remembers of its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain.parameters import Categorical, Scalar
from searchsvc.domain.states import FailureKind
from searchsvc.errors import TrialFailed
from searchsvc.spaces import recipe
from searchsvc.spaces.space import Space
from workers.autohas.distributions import Draw
from workers.autohas.updates import UPDATES, Hyperparameters, Slots, Tensors, stepped
from workers.supernet import Supernet

Batch: TypeAlias = tuple[Tensor, Tensor]
"""Normalised images (n, c, h, w), labels (n,)."""
_OPTIMIZER = "optimizer"


class SupernetLearner:
    """A `Learner`: the path of a candidate, trained with the candidate's hyperparameters.

    These are the optimiser, rate, momentum and decay, label smoothing, dropout and stochastic depth. Gradients go to
    the first five.
    """

    def __init__(
        self, supernet: Supernet, space: Space, constants: Mapping[str, Scalar] = MappingProxyType({})
    ) -> None:
        """`constants`: values besides those of the space."""
        self.supernet, self.rate_scale = supernet, 1.0
        """`rate_scale`: what a schedule multiplies the candidates' learning rates by."""
        self._defaults: dict[str, Any] = {**recipe.CLASSIFICATION.defaults, **constants}
        self._optimizers = _optimizers(space, self._defaults)
        self._parameters = dict(supernet.widest.named_parameters())
        self._slots = {
            optimizer: {
                slot: {name: torch.full_like(one, first) for name, one in self._parameters.items()}
                for slot, first in UPDATES[optimizer].slots.items()
            }
            for optimizer in self._optimizers
        }

    def shared(self, draw: Draw) -> dict[str, Tensor]:
        """See `Learner`: views of the shared weights."""
        self.supernet.activate(draw.candidate.values)
        return {name: view.detach() for name, view in self.supernet.part(self._parameters).items()}

    def ahead(self, draw: Draw, batch: Batch, relaxed: Tensors | None = None) -> dict[str, Tensor]:
        """See `Learner`: of the weights and slots only the candidate's part is copied."""
        values = {**self._defaults, **draw.candidate.values, **(relaxed or {})}
        return self._step(self.shared(draw), values, batch)[1]

    @torch.no_grad()
    def reward(self, draw: Draw, weights: Tensors, batch: Batch) -> float:
        """Accuracy from 0 to 1, normalised by the batch."""
        self.supernet.activate(draw.candidate.values)
        answers = self.supernet.logits(batch[0], weights, regularised=False).argmax(1)
        return float((answers == batch[1]).double().mean())

    def loss(self, draw: Draw, weights: Tensors, batch: Batch) -> Tensor:
        """Cross-entropy, normalised by the batch."""
        self.supernet.activate(draw.candidate.values)
        return F.cross_entropy(self.supernet.logits(batch[0], weights, regularised=False), batch[1])

    def train(self, draw: Draw, batch: Batch) -> float:
        """Make the candidate's step on the shared weights, and return its loss. Raises TrialFailed (DIVERGED)."""
        values = {**self._defaults, **draw.candidate.values}
        weights = self.shared(draw)
        loss, moved, slots = self._step(weights, values, batch)
        if not math.isfinite(loss):
            raise TrialFailed(FailureKind.DIVERGED, f"the loss of the shared weights became {loss}")
        for name, view in weights.items():
            view.copy_(moved[name])
        for optimizer, of_weights in self._own_slots(slots).items():
            for name, own in of_weights.items():
                for slot, view in own.items():
                    view.copy_(slots[optimizer][name][slot])
        return loss

    def _step(
        self, weights: Tensors, values: Mapping[str, Any], batch: Batch
    ) -> tuple[float, dict[str, Tensor], dict[str, dict[str, Slots]]]:
        """(loss, weights, slots) after a step of the active path."""
        leaves = {name: view.detach().requires_grad_() for name, view in weights.items()}
        logits = self.supernet.logits(batch[0], leaves, regularised=True)
        loss, gradients = _smoothed(logits, batch[1], leaves, values["label_smoothing"])
        hyper = self._hyperparameters(values)
        return loss, *stepped(weights, gradients, self._own_slots(hyper.shares), hyper)

    def _own_slots(self, optimizers: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Tensor]]]:
        """Optimiser -> weight -> slots of the active path: views."""
        own = {}
        for optimizer in optimizers:
            parts = {slot: self.supernet.part(tensors) for slot, tensors in self._slots[optimizer].items()}
            names = next(iter(parts.values()))
            own[optimizer] = {name: {slot: part[name] for slot, part in parts.items()} for name in names}
        return own

    def _hyperparameters(self, values: Mapping[str, Any]) -> Hyperparameters:
        chosen = values[_OPTIMIZER]
        shares = dict(zip(self._optimizers, chosen, strict=True)) if isinstance(chosen, Tensor) else {chosen: 1.0}
        rate = values["lr"] * self.rate_scale
        rates = {name: rate * values["sgd_lr_scale"] if name == "sgd" else rate for name in shares}
        return Hyperparameters(shares, rates, values["weight_decay"], values["momentum"])


def _optimizers(space: Space, defaults: Mapping[str, Any]) -> tuple[str, ...]:
    choices = (one.choices for one in space.parameters if one.name == _OPTIMIZER and isinstance(one, Categorical))
    return tuple(map(str, next(choices, (defaults[_OPTIMIZER],))))


def _smoothed(
    logits: Tensor, labels: Tensor, weights: Tensors, smoothing: float | Tensor
) -> tuple[float, dict[str, Tensor]]:
    """Cross-entropy with label smoothing, and its gradients to weights.

    Both are linear in the smoothing, so gradients to it need no second derivatives of the network.
    """
    if not isinstance(smoothing, Tensor):
        return _with_gradients(F.cross_entropy(logits, labels, label_smoothing=smoothing), weights)
    plain, of_plain = _with_gradients(F.cross_entropy(logits, labels), weights, again=True)
    uniform, of_uniform = _with_gradients(-F.log_softmax(logits, 1).mean(), weights)
    gradients = {name: one + smoothing * (of_uniform[name] - one) for name, one in of_plain.items()}
    return plain + float(smoothing.detach()) * (uniform - plain), gradients


def _with_gradients(loss: Tensor, weights: Tensors, *, again: bool = False) -> tuple[float, dict[str, Tensor]]:
    """`again`: the graph is gone through once more."""
    gradients = torch.autograd.grad(loss, list(weights.values()), retain_graph=again)
    return float(loss.detach()), dict(zip(weights, gradients, strict=True))

"""The interface between AutoHAS and a task: shared weights, batches, losses and rewards.

A task provides a `SearchSetup`; steps, controllers and searches depend on nothing else of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from searchsvc.domain.parameters import Scalar
from workers.autohas.updates import Tensors
from workers.training.classification.splits import Order


class WeightSharingNetwork(Protocol):
    """A network that contains every architecture of a space, one of which is active."""

    @property
    def widest(self) -> nn.Module:
        """The network whose parameters are shared."""

    def activate(self, values: Mapping[str, Scalar]) -> None:
        """Make the architecture of a candidate active."""

    def part(self, shared: Tensors) -> dict[str, Tensor]:
        """Return the active path's part of tensors that are named and shaped like the parameters of `widest`.

        The result has the names of the standalone network and consists of views.
        """

    def gated(self, tensors: Tensors, coefficients: Tensors) -> dict[str, Tensor]:
        """Return tensors of the active path with gradients to the coefficients of the genes of its architecture."""


class TrainingLoss(NamedTuple):
    """The loss of a step: `loss`, or loss + share (other - loss) if a hyperparameter `share` has a gradient.

    It is linear in the hyperparameter, so that gradients to it need no second derivatives of the network.
    """

    loss: Tensor
    other: Tensor | None = None
    share: Tensor | None = None

    def descended(self, weights: Tensor) -> tuple[float, Tensor]:
        """Return the loss and its gradient to weights (p,)."""
        if self.other is None or self.share is None:
            return _with_gradient(self.loss, weights)
        plain, plain_gradient = _with_gradient(self.loss, weights, again=True)
        other, other_gradient = _with_gradient(self.other, weights)
        loss = plain + float(self.share.detach()) * (other - plain)
        return loss, plain_gradient + self.share * (other_gradient - plain_gradient)  # (p,)


N_contra = TypeVar("N_contra", bound=WeightSharingNetwork, contravariant=True)


class CandidateLosses(Protocol[N_contra]):
    """Losses and rewards of a task's candidates on batches of a dataset, with their own recipes.

    `tensors`: those of the active path, by the names of the standalone network. `values`: complete values of a
    candidate.
    """

    device: torch.device
    recipe: Mapping[str, Scalar]
    """Defaults of the task's recipe."""
    linear: str
    """The hyperparameter that a `TrainingLoss` is linear in; its value may be a tensor with a gradient."""

    def training_loss(self, network: N_contra, tensors: Tensors, batch: Any, values: Mapping[str, Any]) -> TrainingLoss:
        """Return the loss on a training batch, as in a training of the candidate by itself."""

    def validation_loss(self, network: N_contra, tensors: Tensors, batch: Any, values: Mapping[str, Any]) -> Tensor:
        """Return the loss () on a validation batch, normalised by the batch, by the same measure for all candidates."""

    def reward(
        self, network: N_contra, tensors: Tensors, batch: Any, values: Mapping[str, Any], objective: str
    ) -> float:
        """Return the reward on a validation batch, normalised by the batch: finite, and larger is better."""


class BatchSource(Protocol):
    """A split of a dataset, in batches."""

    def __len__(self) -> int: ...

    def batches(self, order: Order, seeds: Sequence[int]) -> Iterator[Any]:
        """Yield a batch of a part of the order for each seed; parts have almost equal sizes.

        `len(batch)` is its number of images. All candidates use the random numbers of a batch's seed, so that
        differences come from the candidates.
        """


@dataclass(frozen=True, slots=True)
class SearchSetup:
    """Everything that a task contributes to a search with shared weights."""

    network: WeightSharingNetwork
    """On the device of the losses, with its initial weights."""
    losses: CandidateLosses[Any]
    train: BatchSource
    validation: BatchSource


def _with_gradient(loss: Tensor, weights: Tensor, *, again: bool = False) -> tuple[float, Tensor]:
    """Return a loss and its gradient. `again`: keep the graph for another call."""
    (gradient,) = torch.autograd.grad(loss, weights, retain_graph=again)
    return float(loss.detach()), gradient

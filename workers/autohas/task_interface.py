"""What AutoHAS asks of a task: weights that candidates share, batches, what is learnt from them, how that is scored.

A task gives a `Ground`; steps, controllers and searches know nothing else of it.
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


class Shared(Protocol):
    """A network that holds every architecture of a space, one of which is active."""

    @property
    def widest(self) -> nn.Module:
        """Whose parameters are shared."""

    def activate(self, values: Mapping[str, Scalar]) -> None:
        """Make the architecture of a candidate the active one."""

    def part(self, shared: Tensors) -> dict[str, Tensor]:
        """The active path's part of tensors named and shaped as the parameters of `widest`, by its own names: views."""

    def gated(self, tensors: Tensors, coefficients: Tensors) -> dict[str, Tensor]:
        """Tensors of the active path, with gradients to the coefficients of the genes of its architecture."""


class Lesson(NamedTuple):
    """The loss of a step: `loss`, or loss + share (other - loss) where a hyperparameter `share` has a gradient.

    Linear in it, so that gradients to it need no second derivatives of the network.
    """

    loss: Tensor
    other: Tensor | None = None
    share: Tensor | None = None

    def descended(self, weights: Tensor) -> tuple[float, Tensor]:
        """The loss, and its gradient to weights (p,)."""
        if self.other is None or self.share is None:
            return _with_gradient(self.loss, weights)
        plain, of_plain = _with_gradient(self.loss, weights, again=True)
        other, of_other = _with_gradient(self.other, weights)
        return plain + float(self.share.detach()) * (other - plain), of_plain + self.share * (of_other - of_plain)


N_contra = TypeVar("N_contra", bound=Shared, contravariant=True)


class Lessons(Protocol[N_contra]):
    """What the candidates of a task learn from batches of one dataset, with their own recipes.

    `tensors`: of the active path, those of the network by itself. `values`: complete ones of a candidate.
    """

    device: torch.device
    recipe: Mapping[str, Scalar]
    """Defaults of the recipe of the task."""
    linear: str
    """The hyperparameter that a `Lesson` is linear in; its value may be a tensor with a gradient."""

    def lesson(self, network: N_contra, tensors: Tensors, batch: Any, values: Mapping[str, Any]) -> Lesson:
        """On a training batch, as it is when the candidate is trained by itself."""

    def loss(self, network: N_contra, tensors: Tensors, batch: Any, values: Mapping[str, Any]) -> Tensor:
        """() on a validation batch, normalised by the batch, by the same measure for all candidates."""

    def reward(
        self, network: N_contra, tensors: Tensors, batch: Any, values: Mapping[str, Any], objective: str
    ) -> float:
        """On a validation batch, normalised by the batch: finite, and the larger the better for the objective."""


class Images(Protocol):
    """A split of a dataset."""

    def __len__(self) -> int: ...

    def batches(self, order: Order, seeds: Sequence[int]) -> Iterator[Any]:
        """A part of almost equal size for each of the seeds, in this order. A batch has as many items as images.

        All candidates have the random numbers of a batch's seed: differences are the candidates'.
        """


@dataclass(frozen=True, slots=True)
class Ground:
    """What a search with shared weights works on."""

    network: Shared
    """On the device of the lessons, with its first weights."""
    lessons: Lessons[Any]
    train: Images
    validation: Images


def _with_gradient(loss: Tensor, weights: Tensor, *, again: bool = False) -> tuple[float, Tensor]:
    """`again`: the graph is gone through once more."""
    (gradient,) = torch.autograd.grad(loss, weights, retain_graph=again)
    return float(loss.detach()), gradient

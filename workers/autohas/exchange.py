"""Exchange of tensors between the processes that train a supernet together."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Exchange(Protocol):
    """A process of a supernet. All processes call the same methods in the same order.

    Raises TrialFailed (LOST) if another process has died.
    """

    rank: int
    """0, 1, ...; only rank 0 writes to disk."""
    size: int

    def mean(self, tensor: Tensor) -> None:
        """Replace a tensor by its mean over all processes, in place."""

    def same(self, tensor: Tensor) -> None:
        """Replace a tensor by that of rank 0, in place."""


class SingleProcess:
    """The exchange of a search in a single process."""

    rank, size = 0, 1

    def mean(self, tensor: Tensor) -> None:
        """Leave the tensor unchanged: it is the mean."""

    def same(self, tensor: Tensor) -> None:
        """Leave the tensor unchanged: this process has rank 0."""

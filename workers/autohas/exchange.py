"""What processes that train one supernet together tell each other."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Exchange(Protocol):
    """One process among those of a supernet. All call the same methods in the same order.

    Raises TrialFailed (LOST) where another process is gone.
    """

    rank: int
    """0, 1, ...; what is written to disk, rank 0 writes."""
    size: int

    def mean(self, tensor: Tensor) -> None:
        """Make a tensor the mean over all processes, in place."""

    def same(self, tensor: Tensor) -> None:
        """Make a tensor that of rank 0, in place."""


class Alone:
    """The only process."""

    rank, size = 0, 1

    def mean(self, tensor: Tensor) -> None:
        """It is."""

    def same(self, tensor: Tensor) -> None:
        """It is."""

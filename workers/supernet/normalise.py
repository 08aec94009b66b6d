"""Which mean and variance maps are normalised by, in a network as a function of its tensors or as a module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it


@dataclass(frozen=True, slots=True)
class Normalise:
    """By those of the batch, or by the statistics among the tensors."""

    by_batch: bool
    share: float | None = None
    """How far the statistics among the tensors move towards those of the batch, in place; None: they stay."""

    def __call__(self, maps: Tensor, tensors: Mapping[str, Tensor], name: str) -> Tensor:
        """(n, c, h, w), normalised, scaled and shifted by the tensors of that name."""
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        if self.by_batch and self.share is None:
            return F.batch_norm(maps, None, None, weight, bias, training=True)
        mean, variance = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]
        return F.batch_norm(maps, mean, variance, weight, bias, training=self.by_batch, momentum=self.share or 0.0)

    def govern(self, norm: nn.BatchNorm2d) -> None:
        """Make a module do the same."""
        norm.training, norm.momentum = self.by_batch, self.share
        norm.track_running_stats = not self.by_batch or self.share is not None


BY_BATCH = Normalise(by_batch=True)
"""By mean and variance of the batch, which depend on nothing but the path."""
BY_STATISTICS = Normalise(by_batch=False)


def measuring(batch: int) -> Normalise:
    """By the batch; the statistics among the tensors become the mean over the batches 0 to `batch`."""
    return Normalise(by_batch=True, share=1.0 / (batch + 1))

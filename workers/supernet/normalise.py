"""Statistics that normalisations use, in a network that is a function of its tensors or a module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Normalises maps by the statistics of the batch, or by the statistics among the tensors."""

    by_batch: bool
    share: float | None = None
    """The fraction by which stored statistics move towards those of the batch, in place; None: they do not move."""

    def __call__(self, maps: Tensor, tensors: Mapping[str, Tensor], name: str) -> Tensor:
        """Return maps (n, c, h, w), normalised, then scaled and shifted by the tensors of that name."""
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        if self.by_batch and self.share is None:
            return F.batch_norm(maps, None, None, weight, bias, training=True)
        mean, variance = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]
        return F.batch_norm(maps, mean, variance, weight, bias, training=self.by_batch, momentum=self.share or 0.0)

    def configure(self, norm: nn.BatchNorm2d) -> None:
        """Configure a module to normalise in the same way."""
        norm.training, norm.momentum = self.by_batch, self.share
        norm.track_running_stats = not self.by_batch or self.share is not None


BY_BATCH = Normalisation(by_batch=True)
"""Mean and variance of the batch, which depend on the path alone."""
BY_STATISTICS = Normalisation(by_batch=False)


def measuring(batch: int) -> Normalisation:
    """Return a normalisation by the batch that also measures.

    It updates the statistics among the tensors to their mean over the batches 0 to `batch`.
    """
    return Normalisation(by_batch=True, share=1.0 / (batch + 1))

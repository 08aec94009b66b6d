"""Accuracy and cross-entropy of a classifier on one split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it


def evaluate(answers: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[str, float]]:
    """Yield ("accuracy", share that is right) and ("loss", mean cross-entropy).

    `answers`: logits (m, K) and labels (m,) of batch after batch, all on one device; it is waited for once, at the end.
    """
    count = 0
    right: Tensor | int = 0
    loss: Tensor | float = 0.0
    for logits, labels in answers:
        count += len(labels)
        right = right + (logits.argmax(1) == labels).sum()
        loss = loss + F.cross_entropy(logits.float(), labels, reduction="sum").double()
    yield "accuracy", float(right) / count
    yield "loss", float(loss) / count

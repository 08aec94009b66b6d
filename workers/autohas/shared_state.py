"""What candidates share, in one flat tensor: weights, their average, and what each optimiser remembers of them.

| symbol | meaning |
|---|---|
| P | numbers in the parameters of the widest network |
| p | those that a candidate uses |
| r | rows: the weights, then what is kept of each of them |

One tensor can be kept, restored and averaged over processes by one call. A candidate's part of every row lies at the
same places, so it is taken and put back by one gather per row, whatever the number of layers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from workers.autohas.updates import Tensors

WEIGHTS = "weights"


class Memory:
    """Rows of P numbers each, by name; the parameters become views of the first, `weights`."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], rows: Mapping[str, float | None]) -> None:
        """`rows`: those besides the weights, with their first value; None: that of the weights."""
        first = torch.cat([one.detach().flatten() for one in parameters.values()])
        self.flat = first.repeat(1 + len(rows))
        """(r P,)"""
        self._rows: dict[str, Tensor] = dict(zip((WEIGHTS, *rows), self.flat.view(1 + len(rows), -1), strict=True))
        for name, value in rows.items():
            if value is not None:
                self._rows[name].fill_(value)
        for name, view in self.shaped(self._rows[WEIGHTS], parameters).items():
            parameters[name].data = view

    @staticmethod
    def shaped(row: Tensor, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A row (P,) as tensors that are shaped as the parameters: views."""
        parts = torch.split(row, [one.numel() for one in parameters.values()])
        return {name: part.view(one.shape) for (name, one), part in zip(parameters.items(), parts, strict=True)}

    def __contains__(self, row: object) -> bool:
        return row in self._rows

    def take(self, row: str, part: CandidateSlice) -> Tensor:
        """(p,) copies of a part's numbers."""
        taken: Tensor = self._rows[row].index_select(0, part.index)
        return taken

    def put(self, row: str, part: CandidateSlice, numbers: Tensor) -> None:
        """Write a part's numbers (p,) back."""
        self._rows[row].index_copy_(0, part.index, numbers)


@dataclass(frozen=True, slots=True)
class CandidateSlice:
    """Where the numbers of a candidate lie in a row: those of matrices, which decay, before those of vectors."""

    index: Tensor
    """(p,)"""
    matrices: int
    """How many of them decay."""
    shapes: Mapping[str, torch.Size]
    """By the names of the standalone network, in their order."""

    @classmethod
    def of(cls, places: Tensors) -> Self:
        """From views of `Memory.shaped(torch.arange(P))`."""
        ordered = sorted(places.items(), key=lambda item: item[1].ndim <= 1)
        matrices = sum(one.numel() for _, one in ordered if one.ndim > 1)
        index = torch.cat([one.flatten() for _, one in ordered])
        return cls(index, matrices, {name: one.shape for name, one in ordered})

    def named(self, numbers: Tensor) -> dict[str, Tensor]:
        """(p,) -> the tensors of the standalone network: views."""
        parts = torch.split(numbers, [math.prod(shape) for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def grouped(self, numbers: Tensor) -> dict[str, Tensor]:
        """(p,) -> (1, matrices) and (vectors,), as which `stepped` knows what decays: views."""
        return {"matrices": numbers[: self.matrices].unsqueeze(0), "vectors": numbers[self.matrices :]}

    @staticmethod
    def joined(groups: Tensors) -> Tensor:
        """(p,) of `grouped`."""
        return torch.cat([groups["matrices"].squeeze(0), groups["vectors"]])

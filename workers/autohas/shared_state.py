"""The shared state of all candidates in a flat tensor: weights, their average, and the optimisers' slots.

| symbol | meaning |
|---|---|
| P | numbers in the parameters of the widest network |
| p | numbers that a candidate uses |
| r | rows: the weights, then a row for each further number per weight |

A single call saves, restores or averages the tensor over processes. A candidate's numbers lie at the same places in
every row, so one gather per row reads them and one scatter writes them, whatever the number of layers.
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


class SharedState:
    """Rows of P numbers each, by name; the parameters become views of the first row, `weights`."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], rows: Mapping[str, float | None]) -> None:
        """Create the state. `rows`: the rows after the weights, with their first value; None copies the weights."""
        first = torch.cat([parameter.detach().flatten() for parameter in parameters.values()])  # (P,)
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
        """Return a row (P,) as tensors with the shapes of the parameters: views."""
        parts = torch.split(row, [parameter.numel() for parameter in parameters.values()])
        named = zip(parameters.items(), parts, strict=True)
        return {name: part.view(parameter.shape) for (name, parameter), part in named}

    def __contains__(self, row: object) -> bool:
        return row in self._rows

    def gather(self, row: str, part: CandidateSlice) -> Tensor:
        """Return a copy (p,) of a candidate's numbers in a row."""
        numbers: Tensor = self._rows[row].index_select(0, part.index)  # (P,) -> (p,)
        return numbers

    def scatter(self, row: str, part: CandidateSlice, numbers: Tensor) -> None:
        """Write a candidate's numbers (p,) to a row."""
        self._rows[row].index_copy_(0, part.index, numbers)


@dataclass(frozen=True, slots=True)
class CandidateSlice:
    """Places of a candidate's numbers in a row: first those of matrices, which decay, then those of vectors."""

    index: Tensor
    """(p,) positions in a row."""
    matrices: int
    """Number of entries that decay."""
    shapes: Mapping[str, torch.Size]
    """By the names of the standalone network, in the order of `index`."""

    @classmethod
    def of(cls, places: Tensors) -> Self:
        """Create the slice from views of `SharedState.shaped(torch.arange(P))`."""
        ordered = sorted(places.items(), key=lambda item: item[1].ndim <= 1)
        matrices = sum(view.numel() for _, view in ordered if view.ndim > 1)
        index = torch.cat([view.flatten() for _, view in ordered])  # (p,)
        return cls(index, matrices, {name: view.shape for name, view in ordered})

    def named(self, numbers: Tensor) -> dict[str, Tensor]:
        """Return numbers (p,) as the tensors of the standalone network: views."""
        parts = torch.split(numbers, [math.prod(shape) for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def grouped(self, numbers: Tensor) -> dict[str, Tensor]:
        """Split numbers (p,) into views (1, matrices) and (vectors,): `stepped` decays only tensors of two axes."""
        return {"matrices": numbers[: self.matrices].unsqueeze(0), "vectors": numbers[self.matrices :]}

    @staticmethod
    def joined(groups: Tensors) -> Tensor:
        """Return the numbers (p,) of `grouped` tensors."""
        return torch.cat([groups["matrices"].squeeze(0), groups["vectors"]])

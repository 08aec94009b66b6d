"""Operators: the pieces of a network that are counted and timed one by one.

| kind | what it is |
|---|---|
| stem | convolution, normalisation, activation: `inputs` -> `outputs` channels |
| block | one inverted residual block (`searchsvc.spaces.fbnetv3.definition.BlockShape`), its residual included |
| head | expand to `mid`, mean over the map, 1x1 convolution to `outputs`, classifier |

An operator is a whole block and not one of its convolutions: what happens between them (activations, the addition)
then needs no accounting, and there are few operators that take very little time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

OperatorKind: TypeAlias = Literal["stem", "block", "head"]
FIELDS = ("inputs", "mid", "outputs", "kernel", "stride", "pad", "squeeze", "height", "width")
"""The numbers of an operator; height and width are those of its input, in pixels."""


@dataclass(frozen=True, slots=True, order=True)
class Operator:
    """One piece of one network."""

    kind: OperatorKind
    inputs: int
    mid: int
    outputs: int
    kernel: int
    stride: int
    pad: int
    squeeze: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Layer:
    """The same piece of many networks: every field an array, all of shapes that broadcast together."""

    kind: OperatorKind
    inputs: NDArray[Any]
    mid: NDArray[Any]
    outputs: NDArray[Any]
    kernel: NDArray[Any]
    stride: NDArray[Any]
    pad: NDArray[Any]
    squeeze: NDArray[Any]
    height: NDArray[Any]
    width: NDArray[Any]

    @property
    def before(self) -> NDArray[Any]:
        """Pixels of the input."""
        result: NDArray[Any] = self.height * self.width
        return result

    @property
    def after(self) -> NDArray[Any]:
        """Pixels of the output of the (depthwise) convolution."""
        height, width = self.output
        result: NDArray[Any] = height * width
        return result

    @property
    def output(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """(height, width) of that output."""
        return self._shrunk(self.height), self._shrunk(self.width)

    def unique(self) -> tuple[list[Operator], NDArray[np.intp]]:
        """The different operators, and which of them stands where: indices of the common shape of all fields."""
        fields = np.broadcast_arrays(*(np.asarray(getattr(self, name)) for name in FIELDS))
        rows = np.stack([field.ravel() for field in fields], axis=1)
        found, inverse = np.unique(rows.astype(np.int64), axis=0, return_inverse=True)
        return [Operator(self.kind, *row) for row in found.tolist()], inverse.reshape(fields[0].shape)

    def _shrunk(self, side: NDArray[Any]) -> NDArray[Any]:
        result: NDArray[Any] = np.floor((side + 2.0 * self.pad - self.kernel) / self.stride) + 1.0
        return result

    @classmethod
    def of(cls, operators: list[Operator]) -> Self:
        """(n,) fields of operators of one kind."""
        columns = (np.array([getattr(one, name) for one in operators], float) for name in FIELDS)
        return cls(operators[0].kind, *columns)

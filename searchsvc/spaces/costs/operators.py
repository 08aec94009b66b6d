"""Operators: the pieces of a network that are counted and timed individually.

| kind | content |
|---|---|
| stem | convolution, normalisation, activation: `inputs` -> `outputs` channels |
| block | an inverted residual block (`searchsvc.spaces.fbnetv3.definition.BlockShape`), its residual included |
| head | expand to `mid`, mean over the map, 1x1 convolution to `outputs`, classifier |

An operator is a whole block instead of a single convolution. Work between the convolutions (activations, the addition)
then needs no accounting, and few operators take very little time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

OperatorKind: TypeAlias = Literal["stem", "block", "head"]
FIELDS = ("inputs", "mid", "outputs", "kernel", "stride", "pad", "squeeze", "height", "width")
"""The numbers of an operator; height and width of its input are in pixels."""


@dataclass(frozen=True, slots=True, order=True)
class Operator:
    """A piece of a network."""

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
    """A piece of many networks: every field is an array, and all their shapes broadcast together."""

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
        """Number of pixels of the input."""
        result: NDArray[Any] = self.height * self.width
        return result

    @property
    def after(self) -> NDArray[Any]:
        """Number of pixels of the output of the (depthwise) convolution."""
        height, width = self.output
        result: NDArray[Any] = height * width
        return result

    @property
    def output(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """(height, width) of the output of the (depthwise) convolution."""
        return self._shrunk(self.height), self._shrunk(self.width)

    def unique(self) -> tuple[list[Operator], NDArray[np.intp]]:
        """Return the distinct operators, and the index of the operator at each position of the fields' common shape."""
        fields = np.broadcast_arrays(*(np.asarray(getattr(self, name)) for name in FIELDS))
        rows = np.stack([field.ravel() for field in fields], axis=1)  # (positions, fields)
        distinct, inverse = np.unique(rows.astype(np.int64), axis=0, return_inverse=True)
        return [Operator(self.kind, *row) for row in distinct.tolist()], inverse.reshape(fields[0].shape)

    def _shrunk(self, side: NDArray[Any]) -> NDArray[Any]:
        result: NDArray[Any] = np.floor((side + 2.0 * self.pad - self.kernel) / self.stride) + 1.0
        return result

    @classmethod
    def of(cls, operators: list[Operator]) -> Self:
        """Return a layer with fields (n,) from n operators of the same kind."""
        columns = (np.array([getattr(operator, name) for operator in operators], float) for name in FIELDS)
        return cls(operators[0].kind, *columns)

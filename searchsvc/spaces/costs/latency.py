"""LatencyTable: the times of all operators of a space on a device, as a file.

The latency of a network is estimated as the sum of its operators' times, multiplied by the factor `scale` that a check
against whole networks determined. Operators for which the measuring time was too short are fitted (`latency_fit`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from searchsvc.domain.faults import faults_of_json
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.spaces.costs.gathers import Array
from searchsvc.spaces.costs.operators import Layer, Operator

LATENCY = "latency"
"""The metric of a latency table, in milliseconds per batch."""
FORMAT: Literal["searchsvc-latency/1"] = "searchsvc-latency/1"

_Count = Annotated[int, Field(ge=0, le=2**31)]
_Positive = Annotated[int, Field(ge=1, le=2**31)]
_Milliseconds = Annotated[float, Field(gt=0, lt=1e9)]


class _TableModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Device(_TableModel):
    """The device of the measurements."""

    kind: Literal["cpu", "cuda"]
    name: str
    threads: _Positive
    clock: str
    """The clock of the times: processor time, wall time, or CUDA events."""
    torch: str


class TimedOperator(_TableModel):
    """An operator with its time."""

    operator: Operator
    milliseconds: _Milliseconds
    samples: _Count
    """Number of measurements, of which `milliseconds` is the lower quartile; 0 if the time was fitted."""


class NetworkCheck(_TableModel):
    """Comparison of the sums of operators with the times of whole networks; errors are shares of the measured time."""

    networks: _Positive
    rank_correlation: float
    """Spearman's rank correlation."""
    median_error: float
    error_90: float
    """The error at the 90th percentile of the networks."""
    scaled_median_error: float
    """The median error with the scale of each network fitted to all other networks."""
    scaled_error_90: float
    estimated: tuple[float, ...]
    """Sums of operators in milliseconds, without the scale."""
    measured: tuple[float, ...]


class LatencyTable(_TableModel):
    """The times of the operators of a space, for a shape of images, a number of classes, and a device."""

    format: Literal["searchsvc-latency/1"] = FORMAT
    space: str
    shape: tuple[_Positive, _Positive, _Positive]
    """(channels, height, width) of the images of the dataset."""
    classes: _Positive
    batch: _Positive
    device: Device
    date: str
    scale: Annotated[float, Field(gt=0)]
    """Measured time of whole networks / sum of their operators; 1 without a check."""
    check: NetworkCheck | None
    operators: Annotated[tuple[TimedOperator, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> LatencyTable:
        if len({timed.operator for timed in self.operators}) < len(self.operators):
            raise ValueError("an operator occurs twice")
        return self

    @classmethod
    def parse(cls, text: bytes, source: str) -> LatencyTable:
        """Parse the content of a file. Raises InvalidInput, whose message has `source` and the first error."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = faults_of_json(error, text, cls)[0]
            raise InvalidInput.at("", f"{source} is no {FORMAT} table: {first}") from None

    @cached_property
    def serialised(self) -> bytes:
        """The content of the table's file."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @cached_property
    def digest(self) -> str:
        """A digest of the content."""
        return hashlib.sha256(self.serialised).hexdigest()[:16]

    @cached_property
    def _times(self) -> Mapping[Operator, float]:
        return {timed.operator: timed.milliseconds for timed in self.operators}

    def prices(self, layer: Layer) -> Array:
        """Return the milliseconds of a layer, unscaled. Raises InvalidInput if an operator is missing."""
        operators, inverse = layer.unique()
        missing = [operator for operator in operators if operator not in self._times]
        if missing:
            reason = f"the table lacks {len(missing)} operators of this space, such as {missing[0]}"
            raise InvalidInput.at(
                "", f"{reason}: it has the operators of the whole shipped space, with no other values fixed"
            )
        return np.array([self._times[operator] for operator in operators])[inverse]

    def check_fits(self, space: str, info: DatasetInfo) -> None:
        """Raise InvalidInput if the table was measured for another space, shape or number of classes."""
        wanted, own = (space, info.shape, len(info.classes)), (self.space, self.shape, self.classes)
        if wanted != own:
            targets = " not for ".join(_target(*target) for target in (own, wanted))
            raise InvalidInput.at("", f"the table was measured for {targets}")


def _target(space: str, shape: tuple[int, int, int], classes: int) -> str:
    channels, height, width = shape
    return f"{space} on images of {channels} x {height} x {width} in {classes} classes"

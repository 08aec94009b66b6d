"""LatencyTable: how long each operator of a space takes on one device, as a file.

The latency of a network is estimated as the sum of its operators' times a factor `scale`, which a check against whole
networks has found. Operators that the time for measuring did not reach are fitted (`latency_fit`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.spaces.costs.gathers import Array
from searchsvc.spaces.costs.operators import Layer, Operator

LATENCY = "latency"
"""The metric that a table gives, in milliseconds per batch."""
FORMAT: Literal["searchsvc-latency/1"] = "searchsvc-latency/1"

_Whole = Annotated[int, Field(ge=0, le=2**31)]
_Some = Annotated[int, Field(ge=1, le=2**31)]
_Milliseconds = Annotated[float, Field(gt=0, lt=1e9)]


class _TableModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Device(_TableModel):
    """What was measured on."""

    kind: Literal["cpu", "cuda"]
    name: str
    threads: _Some
    clock: str
    """What the times are of: of the processor, on the wall, of CUDA events."""
    torch: str


class TimedOperator(_TableModel):
    """One operator with its time."""

    operator: Operator
    milliseconds: _Milliseconds
    samples: _Whole
    """Measurements that this is the lower quartile of; 0: fitted."""


class NetworkCheck(_TableModel):
    """How well the sums of operators tell the times of whole networks; errors are shares of the measured time."""

    networks: _Some
    rank_correlation: float
    """Spearman's."""
    median_error: float
    error_90: float
    """Nine of ten networks have a smaller one."""
    scaled_median_error: float
    """As above, each network with the scale that all others give."""
    scaled_error_90: float
    estimated: tuple[float, ...]
    """Milliseconds, sums of operators without the scale."""
    measured: tuple[float, ...]


class LatencyTable(_TableModel):
    """The operators of one space, for images and classes of one kind, on one device."""

    format: Literal["searchsvc-latency/1"] = FORMAT
    space: str
    shape: tuple[_Some, _Some, _Some]
    """(channels, height, width) of the images of the dataset."""
    classes: _Some
    batch: _Some
    device: Device
    date: str
    scale: Annotated[float, Field(gt=0)]
    """Measured time of whole networks / sum of their operators; 1 without a check."""
    check: NetworkCheck | None
    operators: Annotated[tuple[TimedOperator, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> LatencyTable:
        if len({one.operator for one in self.operators}) < len(self.operators):
            raise ValueError("an operator occurs twice")
        return self

    @classmethod
    def parse(cls, text: bytes, source: str) -> LatencyTable:
        """From the content of a file. Raises InvalidInput, which names `source` and what is wrong first."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = "/".join(map(str, first["loc"])) or "its beginning"
            raise InvalidInput.at("", f"{source} is no {FORMAT} table: {first['msg']} at {where}") from None

    @cached_property
    def serialised(self) -> bytes:
        """The content of its file."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @cached_property
    def digest(self) -> str:
        """Changes whenever the content does."""
        return hashlib.sha256(self.serialised).hexdigest()[:16]

    @cached_property
    def _times(self) -> Mapping[Operator, float]:
        return {one.operator: one.milliseconds for one in self.operators}

    def prices(self, layer: Layer) -> Array:
        """Milliseconds of a layer, unscaled. Raises InvalidInput where an operator is missing."""
        operators, inverse = layer.unique()
        missing = [one for one in operators if one not in self._times]
        if missing:
            told = f"the table lacks {len(missing)} operators of this space, such as {missing[0]}"
            raise InvalidInput.at("", f"{told}: it has those of the whole shipped space, with nothing fixed besides")
        return np.array([self._times[one] for one in operators])[inverse]

    def check_fits(self, space: str, info: DatasetInfo) -> None:
        """Raise InvalidInput where it was measured for something else."""
        wanted, own = (space, info.shape, len(info.classes)), (self.space, self.shape, self.classes)
        if wanted != own:
            told = " not for ".join(_told(*one) for one in (own, wanted))
            raise InvalidInput.at("", f"the table was measured for {told}")


def _told(space: str, shape: tuple[int, int, int], classes: int) -> str:
    channels, height, width = shape
    return f"{space} on images of {channels} x {height} x {width} in {classes} classes"

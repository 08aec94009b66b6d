"""Parameters of a space as plain data; `searchsvc.spaces` has the operations on them.

A parameter is active only when every condition in its `when` holds: `when={"optimizer": "sgd"}` or
`when={"optimizer": ["sgd", "rmsprop"]}`. An inactive parameter has no value in a candidate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic.dataclasses import dataclass

Scalar: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr
"""Type of the values of parameters."""

_LARGEST = 2**53  # whole numbers up to here are exact in a float64 matrix
_WIDE = 10.0  # ratio of the ends of a basis from which its logarithm is searched
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)


def _single_values_to_lists(when: Any) -> Any:
    if not isinstance(when, Mapping):
        return when
    many = (list, tuple, set, frozenset)
    return {other: tuple(values) if isinstance(values, many) else (values,) for other, values in when.items()}


Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$")]
Conditions: TypeAlias = Annotated[Mapping[str, tuple[Scalar, ...]], BeforeValidator(_single_values_to_lists)]
Whole: TypeAlias = Annotated[int, Field(ge=-_LARGEST, le=_LARGEST)]
Real: TypeAlias = Annotated[float, Field(ge=-1e300, le=1e300)]


@dataclass(frozen=True, config=_CONFIG)
class Categorical:
    """An unordered list of values."""

    name: Name
    choices: Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=10_000)]
    when: Conditions = Field(default_factory=dict, kw_only=True)
    type: Literal["categorical"] = Field(default="categorical", kw_only=True)

    def __post_init__(self) -> None:
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("choices must differ from each other (1, 1.0 and true are the same value)")


@dataclass(frozen=True, config=_CONFIG)
class Integer:
    """A whole number from `low` to `high`, both included, in steps of `step`; `log` searches its logarithm."""

    name: Name
    low: Whole
    high: Whole
    step: Annotated[int, Field(ge=1, le=_LARGEST)] = 1
    log: bool = False
    when: Conditions = Field(default_factory=dict, kw_only=True)
    type: Literal["integer"] = Field(default="integer", kw_only=True)

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.step if self.step > 1 else None, log=self.log)


@dataclass(frozen=True, config=_CONFIG)
class Float:
    """A real number from `low` to `high`, both included; with `step`, on the grid low, low + step, ..."""

    name: Name
    low: Real
    high: Real
    step: Annotated[float, Field(gt=0)] | None = None
    log: bool = False
    when: Conditions = Field(default_factory=dict, kw_only=True)
    type: Literal["float"] = Field(default="float", kw_only=True)

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.step, log=self.log)


@dataclass(frozen=True, config=_CONFIG)
class Basis:
    """A real number that is a mixture of basis values: their sum weighted by coefficients >= 0 that sum to 1.

    This represents a continuous hyperparameter in AutoHAS (arXiv 2006.03656), which searches the coefficients. All
    other methods treat it as the range from the smallest to the largest value, which mixtures cannot leave.
    """

    name: Name
    values: Annotated[tuple[Real, ...], Field(min_length=2, max_length=1000)]
    when: Conditions = Field(default_factory=dict, kw_only=True)
    type: Literal["basis"] = Field(default="basis", kw_only=True)

    def __post_init__(self) -> None:
        if len(set(self.values)) < len(self.values):
            raise ValueError("basis values must differ from each other")

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    @property
    def step(self) -> None:
        """None, because mixtures are continuous."""
        return

    @property
    def log(self) -> bool:
        """True if the logarithm of the range is searched: the values span a factor of 10 or more."""
        return self.low > 0 and self.high >= _WIDE * self.low


Parameter: TypeAlias = Annotated[Categorical | Integer | Float | Basis, Field(discriminator="type")]
"""Any of the four; a document distinguishes them by `type`."""


def _check_range(low: float, high: float, step: float | None, *, log: bool) -> None:
    if low > high:
        raise ValueError(f"low ({low:g}) must not be above high ({high:g})")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range must start above 0, not at {low:g}")
    if log and step is not None:
        raise ValueError("a logarithmic range has no step: leave out log or step")
    if step is not None and low < high and step > high - low and not math.isclose(step, high - low, rel_tol=1e-9):
        raise ValueError(f"step ({step:g}) is wider than the range ({high - low:g})")

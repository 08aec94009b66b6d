"""Parameters of a space as plain data; `searchsvc.spaces` has the operations on them.

A parameter is active only when every condition in its `when` holds: `when={"optimizer": "sgd"}` or
`when={"optimizer": ["sgd", "rmsprop"]}`. An inactive parameter has no value in a candidate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic.dataclasses import dataclass

from searchsvc.domain.texts import check_name, check_text

_LARGEST = 2**53  # whole numbers up to here are exact in a float64 matrix, and in every reader of JSON


def _check_whole(value: Any) -> Any:
    """Return `value`. Raises ValueError if it is a whole number that float64 and readers of JSON may change."""
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError(f"a whole number must be at most {_LARGEST:,} (2^53): write a larger one as a text")
    return value


TextValue: TypeAlias = Annotated[StrictStr, Field(max_length=4096), AfterValidator(check_text)]
Scalar: TypeAlias = Annotated[
    StrictBool | StrictInt | StrictFloat | TextValue | None, BeforeValidator(_check_whole)
]
"""Type of the values of parameters. None (null) is a choice such as any other."""

_WIDE = 10.0  # ratio of the ends of a basis from which its logarithm is searched
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)


def _single_values_to_lists(when: Any) -> Any:
    if not isinstance(when, Mapping):
        return when
    many = (list, tuple, set, frozenset)
    return {other: tuple(values) if isinstance(values, many) else (values,) for other, values in when.items()}


Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(check_name)]
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
        if (repeated := _repeated(self.choices)) is not None:
            raise ValueError(
                f"choices must differ from each other: {_written(repeated[0])} occurs twice"
                + ("" if repr(repeated[0]) == repr(repeated[1]) else f", as {_written(repeated[1])} is the same number")
            )


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


def value_key(value: Scalar) -> tuple[bool, Scalar]:
    """Return a key that is equal for equal values: true is not 1, and "1" is not 1, but 1.0 is 1."""
    return isinstance(value, bool), value


def number(value: Scalar) -> float:
    """Return a value that the task limits to numbers."""
    assert isinstance(value, int | float)
    return float(value)


def is_among(value: Scalar, values: Iterable[Scalar]) -> bool:
    """Return whether `value` is one of `values`; true is not 1."""
    return any(value_key(value) == value_key(other) for other in values)


def _repeated(choices: Iterable[Scalar]) -> tuple[Scalar, Scalar] | None:
    """Return the first choice that equals an earlier choice, and the earlier choice."""
    seen: dict[tuple[bool, Scalar], Scalar] = {}
    for choice in choices:
        if value_key(choice) in seen:
            return choice, seen[value_key(choice)]
        seen[value_key(choice)] = choice
    return None


def _written(value: Scalar) -> str:
    """Return a value as a document shows it."""
    return {True: "true", False: "false", None: "null"}[value] if isinstance(value, bool | None) else repr(value)


def _check_range(low: float, high: float, step: float | None, *, log: bool) -> None:
    if low > high:
        raise ValueError(f"low ({low:g}) must not be above high ({high:g})")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range must start above 0, not at {low:g}")
    if log and step is not None:
        raise ValueError("a logarithmic range has no step: leave out log or step")
    if step is not None and low < high and step > high - low and not math.isclose(step, high - low, rel_tol=1e-9):
        raise ValueError(f"step ({step:g}) is wider than the range ({high - low:g})")
    if step is not None:
        _check_step(low, high, step)


def _check_step(low: float, high: float, step: float) -> None:
    """Raise ValueError if float64 cannot tell the values of a grid apart, or cannot number them."""
    far = max(abs(low), abs(high))
    if step < math.ulp(far) and low < high:
        spacing = math.ulp(far)
        raise ValueError(
            f"a step of {step:g} is too small: the numbers of a computer (float64) are {spacing:g} apart near {far:g}; "
            "widen the step, or leave it out"
        )
    if high - low > _LARGEST * step:
        raise ValueError(f"a step of {step:g} divides the range into more than 2^53 parts: widen it, or leave it out")

"""Candidates, and observations of them that an algorithm receives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from searchsvc.domain.metrics import Measurement
from searchsvc.domain.parameters import Scalar
from searchsvc.errors import FailureKind


@dataclass(frozen=True)
class Candidate:
    """Values for every active parameter of a space; has no id and no state."""

    values: Mapping[str, Scalar]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    @cached_property
    def key(self) -> str:
        """Canonical hash of the values, 32 hex digits, independent of the order of their names."""
        return _key(self.values)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Candidate) and self.key == other.key

    def __reduce__(self) -> tuple[type[Candidate], tuple[dict[str, Scalar]]]:
        return Candidate, (dict(self.values),)


@dataclass(frozen=True, slots=True)
class Observation:
    """A finished trial as an algorithm sees it.

    `metrics` holds measured metrics and costs, or None if the trial failed. `step` is the last step of its training,
    at which the stopping rule ended it if `stopped`. `history` holds its measurements by step, if they are known.
    """

    candidate: Candidate
    metrics: Mapping[str, float] | None
    failure: FailureKind | None = None
    step: int = 0
    stopped: bool = False
    history: tuple[Measurement, ...] = ()


def _key(values: Mapping[str, Scalar]) -> str:
    canonical = json.dumps({name: _canonical(values[name]) for name in sorted(values)}, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _canonical(value: Scalar) -> Scalar:
    """Return whole floats as integers, so that 1 and 1.0 (as JSON may spell them) make the same candidate."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value

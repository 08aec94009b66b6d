"""Complete values of a candidate, from which networks are built and trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from searchsvc.domain.parameters import Scalar


class CompleteValues(Mapping[str, Any]):
    """Values of all parameters of a network and of its training.

    Made once for each training, by `searchsvc.spaces.networks.complete`, which fills in defaults and checks limits.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Scalar]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"CompleteValues({self._values!r})"

    def replaced(self, changes: Mapping[str, Scalar]) -> CompleteValues:
        """Return a copy with `changes` applied, without a check of limits."""
        return CompleteValues({**self._values, **changes})

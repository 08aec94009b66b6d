"""doctor: whether everything that is needed is there, what was found, and how to mend what is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from searchsvc.settings import Settings


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warning", "failed"]
    found: str
    mend: str | None = None
    """How to mend it; None where it is ok."""


@dataclass(frozen=True, slots=True)
class Health:
    """All checks."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Nothing failed; warnings may be there."""
        return all(check.state != "failed" for check in self.checks)


def examine(settings: Settings) -> Health:
    """Look at everything; a check that fails does not keep the others from being made."""
    raise NotImplementedError

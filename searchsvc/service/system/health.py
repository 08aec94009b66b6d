"""The result of a health check, with advice on how to fix what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The result of a single check."""

    name: str
    state: Literal["ok", "warning", "failed"]
    found: str
    mend: str | None = None
    """Advice on how to fix the failure; None if the check passed."""

    def __str__(self) -> str:
        return f"{self.name}: {self.found}" + (f"; {self.mend}" if self.mend else "")


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The results of all checks."""

    checks: tuple[HealthCheck, ...]

    @property
    def ok(self) -> bool:
        """True if nothing failed; warnings are allowed."""
        return all(check.state != "failed" for check in self.checks)

"""The health of a controller: the turns that it completed and the errors that it survived."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from searchsvc.domain import ControllerReport
from searchsvc.errors import RuntimeUnavailable, StoreUnavailable

REPORT_SECONDS = 5.0
"""Interval at which a controller reports itself to the store."""
_ERROR_LENGTH = 500
_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 0.2, 10.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class GuardedBlock:
    """A block of code whose errors are survived."""

    error: Exception | None = None
    """The error that ended the block."""


class ControllerHealth:
    """Counts turns and errors. Other threads may read it at any time."""

    def __init__(self, holder: str, *, started_at: float, monotonic: Callable[[], float]) -> None:
        self._holder, self._started_at, self._monotonic = holder, started_at, monotonic
        self._last_turn = monotonic()
        self.turns = 0
        self.errors = 0
        self.last_error: str | None = None

    @property
    def seconds_since_turn(self) -> float:
        """Seconds since the last turn that was completed without an error, or since the start."""
        return self._monotonic() - self._last_turn

    def check(self, limit_seconds: float) -> None:
        """Raise RuntimeUnavailable if no turn was completed for longer than `limit_seconds`."""
        seconds = self.seconds_since_turn
        if seconds > limit_seconds:
            raise RuntimeUnavailable(f"the controller has not completed a turn for {seconds:.0f} s")

    def turn_completed(self) -> None:
        self.turns += 1
        self._last_turn = self._monotonic()

    @contextmanager
    def surviving(self, what: str, *passing: type[Exception]) -> Iterator[GuardedBlock]:
        """Log and count any error of the block, and continue after it. Errors of the types `passing` are raised."""
        attempt = GuardedBlock()
        try:
            yield attempt
        except passing:
            raise
        except Exception as error:  # noqa: BLE001 - no error of a job or a turn may end the controller
            attempt.error = error
            self.errors += 1
            self.last_error = f"{what}: {type(error).__name__}: {error}"[:_ERROR_LENGTH]
            trace = None if isinstance(error, StoreUnavailable) else error
            _log.error("%s: %s: %s", what, type(error).__name__, error, exc_info=trace)

    def report(self, drivers: int) -> ControllerReport:
        """Return the report for the store, which dates it."""
        return ControllerReport(
            holder=self._holder,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=self._started_at,
            seen_at=self._started_at,
            turns=self.turns,
            errors=self.errors,
            last_error=self.last_error,
            drivers=drivers,
        )


@dataclass(slots=True)
class Backoff:
    """Delays that double with each consecutive failure."""

    failures: int = 0

    def failed(self) -> float:
        """Note a failure; return the delay in seconds before the next try."""
        self.failures += 1
        return float(min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** min(self.failures - 1, 60)))

    def succeeded(self) -> None:
        self.failures = 0


@dataclass(slots=True)
class TurnPart:
    """A part of a turn; its failures delay neither the other parts nor the next turn."""

    name: str
    work: Callable[[], None]
    backoff: Backoff = field(default_factory=Backoff)
    repeat_at: float = 0.0
    """The earliest time of the next attempt after a failure."""

    def attempt(self, health: ControllerHealth, monotonic: Callable[[], float]) -> bool:
        """Do the work, unless it waits after a failure. Return whether it was done. Raises StoreUnavailable."""
        if monotonic() < self.repeat_at:
            return False
        with health.surviving(f"{self.name} failed and is repeated", StoreUnavailable) as attempt:
            self.work()
            self.backoff.succeeded()
        if attempt.error is None:
            return True
        self.repeat_at = monotonic() + self.backoff.failed()
        return False

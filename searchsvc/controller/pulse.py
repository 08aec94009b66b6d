"""The pulse: a driver writes a byte into a pipe about every half second, and its controller reads them.

The pulse shows that a driver lives whatever the database does and whatever clocks show. A driver that is suspended,
deadlocked or blocked by a dead disk has none.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass

PULSE_VARIABLE = "SEARCHSVC_PULSE"
"""Environment variable of a driver: the file descriptor of the pipe."""
STARTING, RUNNING = b"s", b"r"
"""Bytes of a driver that still makes its imports and connects to Ray, and of a driver at work."""
PULSE_SECONDS = 0.5
_LONGEST_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Patience:
    """Silence after which a driver counts as hung."""

    starting_seconds: float
    """While it starts: an import from a cold disk may block all threads of a process."""
    running_seconds: float


class PulseReader:
    """The controller's end of a driver's pipe."""

    def __init__(self, descriptor: int, monotonic: Callable[[], float]) -> None:
        """Take over a file descriptor, which is closed with this object."""
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._monotonic = monotonic
        weakref.finalize(self, os.close, descriptor)
        self._looked: float | None = None
        self.silent_seconds = 0.0
        """Time without a byte during which this process was looking."""
        self.is_running = False
        """True if the driver has reported that it is at work."""

    def is_hung(self, patience: Patience) -> bool:
        """Read the bytes that have arrived; return whether the driver has been silent for too long.

        The time since the last look counts only up to a quarter of the patience: this process, or the whole machine
        with the driver, may have been suspended.
        """
        now = self._monotonic()
        gap = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        received = self._received()
        if received:
            self.is_running = received.endswith(RUNNING)
            self.silent_seconds = 0.0
        else:
            self.silent_seconds += min(gap, patience.running_seconds / 4)
        return self.silent_seconds >= (patience.running_seconds if self.is_running else patience.starting_seconds)

    def _received(self) -> bytes:
        try:
            return os.read(self._descriptor, _LONGEST_READ_BYTES)
        except BlockingIOError:
            return b""

"""The driver's pulse, which shows its controller that it lives: see searchsvc.controller.pulse."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from searchsvc.controller.pulse import PULSE_SECONDS, PULSE_VARIABLE, RUNNING, STARTING


class Pulse(threading.Thread):
    """Writes a byte into the controller's pipe again and again; a driver without a controller needs none."""

    def __init__(self) -> None:
        """Take the pipe from the environment, so that no process that the driver starts inherits it."""
        super().__init__(name="pulse", daemon=True)
        descriptor = os.environ.pop(PULSE_VARIABLE, None)
        self._descriptor = None if descriptor is None else int(descriptor)
        self._is_healthy: Callable[[], bool] = lambda: True
        self._has_started: Callable[[], bool] = lambda: False
        if self._descriptor is not None:
            os.set_inheritable(self._descriptor, False)
            os.set_blocking(self._descriptor, False)

    def guard(self, is_healthy: Callable[[], bool], *, has_started: Callable[[], bool]) -> None:
        """Fall silent while `is_healthy` returns False, so that the controller replaces the driver.

        Once `has_started` returns True, the driver reports that it has made its imports and is connected to Ray; from
        then on the controller expects a pulse without pauses.
        """
        self._is_healthy, self._has_started = is_healthy, has_started

    def run(self) -> None:
        pause = threading.Event()
        while self._descriptor is not None and self._beat(self._descriptor):
            pause.wait(PULSE_SECONDS)

    def _beat(self, descriptor: int) -> bool:
        """Write a byte if the driver is healthy. Return False if the controller has ended."""
        if not self._is_healthy():
            return True
        try:
            os.write(descriptor, RUNNING if self._has_started() else STARTING)
        except BlockingIOError:  # the controller is suspended, and the pipe is full
            return True
        except OSError:
            return False
        return True

"""Starts drivers: the driver on standby if there is one, or a new process."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

from searchsvc.controller.drivers import DriverProcess, Standby
from searchsvc.domain import Lease
from searchsvc.errors import RuntimeUnavailable
from searchsvc.settings import Settings

STANDBY_SECONDS = 3.0
"""Delay from the start of a driver to the preparation of the next standby driver: the workers start first."""

_log = logging.getLogger(__name__)


class Launcher:
    """Starts the drivers of a controller, and keeps another on standby."""

    def __init__(
        self,
        settings: Settings,
        *,
        command: Callable[[Lease], Sequence[str]],
        standby_command: Sequence[str] | None,
        monotonic: Callable[[], float],
    ) -> None:
        self._settings, self._command, self._monotonic = settings, command, monotonic
        log = settings.logs_dir / "standby.log"
        self._standby = Standby(standby_command, settings.environment(), log) if standby_command else None
        self._standby_at = 0.0

    def start(self, lease: Lease) -> DriverProcess:
        """Start a driver for a job. Raises RuntimeUnavailable."""
        log = self._settings.job_log(lease.job_id)
        self._standby_at = self._monotonic() + STANDBY_SECONDS
        driver = self._standby.take(lease, log) if self._standby else None
        if driver is not None:
            return driver
        environment = self._settings.environment()
        return DriverProcess.start(self._command(lease), environment, log, monotonic=self._monotonic)

    def warm_up(self) -> None:
        """Prepare a driver on standby now."""
        self._standby_at = math.inf
        try:
            if self._standby is not None:
                self._standby.prepare()
        except RuntimeUnavailable as error:
            _log.warning("%s", error)

    def refill(self) -> None:
        """Prepare a driver on standby, some time after the last driver was started."""
        if self._monotonic() >= self._standby_at:
            self.warm_up()

    def close(self) -> None:
        """End the driver on standby."""
        if self._standby is not None:
            self._standby.close()

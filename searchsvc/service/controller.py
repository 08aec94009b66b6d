"""The controller: claims jobs, starts a driver process for each, watches them and starts them again when they die.

A job whose driver lives on without its controller keeps its lease; any controller takes it over once the lease ends. Jobs
are claimed oldest first, and only while this controller has room for another driver.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from searchsvc.domain import Lease
from searchsvc.service.service import Service


def driver_command(lease: Lease) -> list[str]:
    """The driver is started by module name: nothing of Ray or training is imported here."""
    return [sys.executable, "-m", "workers.driver", lease.job_id, str(lease.epoch)]


class Controller:
    """One controller. Several may share a database: a lease decides who runs a job."""

    def __init__(
        self, service: Service, holder: str, *, command: Callable[[Lease], list[str]] = driver_command
    ) -> None:
        """`holder` names this controller in leases: host, process and something random."""
        self.service = service
        self.holder = holder
        self.command = command

    def run(self, stop: threading.Event, *, leave_drivers: bool = False, job_id: str | None = None) -> None:
        """Until `stop` is set. Then drivers go on by themselves (`leave_drivers`: a service that restarts), or are asked
        to end, which leaves their jobs to be resumed. `job_id`: run only this job, and return when it is no longer open."""
        raise NotImplementedError

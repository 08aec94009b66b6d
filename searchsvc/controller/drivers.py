"""Driver processes: started by a command, with a log, ended by signals.

Imports take much of the time until a new driver starts its first trial, so the standby process makes them in advance.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchsvc.controller.pulse import PULSE_VARIABLE, PulseReader
from searchsvc.domain import Lease
from searchsvc.errors import RuntimeUnavailable

_LARGEST_LOG_BYTES = 10_000_000
_TAIL_BYTES = 4000
_KILL_SECONDS = 5.0
"""A killed process that waits for a dead disk does not end; nobody waits longer for it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DriverProcess:
    """A driver process. It has its own session, so that Ctrl-C in a terminal reaches only the controller."""

    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    """The byte of the log at which this run begins."""
    pulse: PulseReader

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        stdin: int = subprocess.DEVNULL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> DriverProcess:
        """Start a driver. Raises RuntimeUnavailable if the process cannot be started."""
        try:
            start = _size_of_rotated(log)
            reading, writing = os.pipe()
            pulse = PulseReader(reading, monotonic)
            with os.fdopen(writing, "wb"), log.open("ab") as file:
                process = subprocess.Popen(  # noqa: S603 - our own module, with an id and a number
                    command,
                    env={**environment, PULSE_VARIABLE: str(writing)},
                    cwd=log.parent,  # Ray puts it on the import path of workers, and nothing there can be imported
                    pass_fds=(writing,),
                    stdin=stdin,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise RuntimeUnavailable(f"the driver process cannot be started: {error}") from error
        return cls(process, log, start, pulse)

    @property
    def exit_code(self) -> int | None:
        """Exit code of the process: None while it runs; negative if a signal ended it."""
        return self.process.poll()

    def ask_to_end(self) -> None:
        """Send SIGTERM: the driver ends its attempts and releases its lease, so that the job can be resumed."""
        if self.exit_code is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the driver and all processes of its session, and wait until the driver has ended.

        A process that waits for a dead disk ends later; its lost lease keeps it from writing.
        """
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        if not self.wait(time.monotonic() + _KILL_SECONDS):
            _log.error("process %d was killed but does not end: it waits for a disk or a device", self.process.pid)

    def wait(self, deadline: float) -> bool:
        """Wait for the end of the driver. Return whether it ended before `deadline` of the monotonic clock."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def how_it_ended(self) -> str:
        code = self.exit_code
        if code is None:
            return "was killed but has not ended"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def tail(self) -> str:
        """Return the last lines of this run's log."""
        try:
            size = self.log.stat().st_size
            with self.log.open("rb") as file:
                start = self.log_start if self.log_start <= size else 0  # the log has been rotated since
                file.seek(max(start, size - _TAIL_BYTES))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""


class Standby:
    """A driver process that has made its imports, and waits for its job as a line of JSON.

    It ends with this process. If it fails, it is not started again until a job has needed it.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, environment, log
        self._driver: DriverProcess | None = None

    def prepare(self) -> None:
        """Start the process, unless it exists. Raises RuntimeUnavailable."""
        if self._driver is None:
            self._driver = DriverProcess.start(self._command, self._environment, self._log, stdin=subprocess.PIPE)

    def take(self, lease: Lease, log: Path) -> DriverProcess | None:
        """Let the process run a job, and write to that job's log from then on. Return None if there is no process."""
        driver, self._driver = self._driver, None
        if driver is None:
            return None
        line = json.dumps({"job": lease.job_id, "epoch": lease.epoch, "log": str(log)})
        try:
            start = _size_of_rotated(log)
            _send(driver.process, line)
        except OSError:
            driver.kill()
            _log.warning("the driver on standby %s: %s", driver.how_it_ended(), driver.tail())
            return None
        return DriverProcess(driver.process, log, start, driver.pulse)

    def close(self) -> None:
        if self._driver is not None:
            self._driver.kill()
            self._driver = None


def _send(process: subprocess.Popen[bytes], line: str) -> None:
    """Write a line to the process. Raises OSError if it has ended."""
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(f"{line}\n".encode())


def _size_of_rotated(log: Path) -> int:
    """Return the byte of a log at which a new run begins. A long log is rotated; a single older log is kept."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return 0
    if size <= _LARGEST_LOG_BYTES:
        return size
    log.replace(log.with_suffix(".log.1"))
    return 0

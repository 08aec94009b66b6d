"""Driver processes as the controller sees them: started by a command, written to a log, ended by signals.

Much of the time until a new driver's first trial starts goes into imports, so one process may do them in advance: the
Standby.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchsvc.domain import Lease
from searchsvc.errors import RuntimeUnavailable

_LARGEST_LOG_BYTES = 10_000_000
_TAIL_BYTES = 4000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DriverProcess:
    """One driver. It has a session of its own, so that Ctrl-C in a terminal reaches only the controller."""

    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    """Where in the log this run begins, in bytes."""

    @classmethod
    def start(
        cls, command: Sequence[str], environment: Mapping[str, str], log: Path, *, stdin: int = subprocess.DEVNULL
    ) -> DriverProcess:
        """Raises RuntimeUnavailable where the process cannot be started."""
        try:
            start = _size_of_rotated(log)
            with log.open("ab") as file:
                process = subprocess.Popen(  # noqa: S603 - our own module, with an id and a number
                    command,
                    env=dict(environment),
                    stdin=stdin,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise RuntimeUnavailable(f"the driver process cannot be started: {error}") from error
        return cls(process, log, start)

    @property
    def exit_code(self) -> int | None:
        """None while it lives; negative where a signal ended it."""
        return self.process.poll()

    def ask_to_end(self) -> None:
        """SIGTERM: the driver ends its attempts, gives up its lease and leaves the job to be resumed."""
        if self.exit_code is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the driver and all processes of its session; returns when it is gone."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, deadline: float) -> bool:
        """Whether it ends before `deadline` of the monotonic clock."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def how_it_ended(self) -> str:
        code = self.exit_code
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def tail(self) -> str:
        """The last lines that this run wrote."""
        try:
            size = self.log.stat().st_size
            with self.log.open("rb") as file:
                file.seek(max(self.log_start, size - _TAIL_BYTES))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""


class Standby:
    """A driver process that has imported all that drivers need, and waits for its job to come as a line of JSON.

    It ends by itself when this process does. One that fails is not started again until it was asked for.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, environment, log
        self._driver: DriverProcess | None = None

    def prepare(self) -> None:
        """Start it, unless there is one. Raises RuntimeUnavailable."""
        if self._driver is None:
            self._driver = DriverProcess.start(self._command, self._environment, self._log, stdin=subprocess.PIPE)

    def take(self, lease: Lease, log: Path) -> DriverProcess | None:
        """Let it run a job, and write into that job's log from now on; None where none waits."""
        driver, self._driver = self._driver, None
        if driver is None:
            return None
        given = json.dumps({"job": lease.job_id, "epoch": lease.epoch, "log": str(log)})
        try:
            start = _size_of_rotated(log)
            _tell(driver.process, given)
        except OSError:
            driver.kill()
            _log.warning("the driver on standby %s: %s", driver.how_it_ended(), driver.tail())
            return None
        return DriverProcess(driver.process, log, start)

    def close(self) -> None:
        if self._driver is not None:
            self._driver.kill()
            self._driver = None


def _tell(process: subprocess.Popen[bytes], line: str) -> None:
    """Raises OSError where the process has ended."""
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(f"{line}\n".encode())


def _size_of_rotated(log: Path) -> int:
    """Where in a log, which need not exist yet, a new run begins. A long one gives way; one older log is kept."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return 0
    if size <= _LARGEST_LOG_BYTES:
        return size
    log.replace(log.with_suffix(".log.1"))
    return 0

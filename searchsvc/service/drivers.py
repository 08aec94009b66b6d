"""Driver processes as the controller sees them: started by a command, written to a log, ended by signals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchsvc.errors import RuntimeUnavailable

_LARGEST_LOG_BYTES = 10_000_000
_TAIL_BYTES = 4000


@dataclass(frozen=True, slots=True)
class DriverProcess:
    """One driver. It has a session of its own, so that Ctrl-C in a terminal reaches only the controller."""

    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    """Where in the log this run begins, in bytes."""

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str], log: Path) -> DriverProcess:
        """Raises RuntimeUnavailable where the process cannot be started."""
        try:
            log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _rotate(log)
            with log.open("ab") as file:
                start = file.tell()
                process = subprocess.Popen(  # noqa: S603 - our own module, with an id and a number
                    command,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
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


def _rotate(log: Path) -> None:
    """One older log is kept."""
    try:
        if log.stat().st_size > _LARGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
    except FileNotFoundError:
        pass

"""Ctrl-C during `searchctl run`: the first press stops the job, the second cancels it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from api.cli.client import Client, path_of
from api.cli.exits import ProblemReceived

_CONFLICT = 409


@dataclass(slots=True)
class Interrupts:
    """The number of times that Ctrl-C was pressed."""

    count: int = 0

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


@contextmanager
def counted_interrupts() -> Iterator[Interrupts]:
    """Count Ctrl-C and SIGTERM inside the block, instead of breaking off the work in progress."""
    counter = Interrupts()
    before = {number: signal.signal(number, counter) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield counter
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class InterruptedJob:
    """Passes interrupts on to a job as requests to stop or cancel."""

    client: Client
    job_id: str
    interrupts: Interrupts
    requests: int = 0
    """Requests sent so far: 0, 1 (stop) or 2 (cancel)."""

    def notice(self) -> str | None:
        """Send the requests that new interrupts ask for, and return a notice to the user."""
        if self.interrupts.count > self.requests:
            self._send()
        if self.requests == 0:
            return None
        if self.requests == 1:
            return "Finishing the running trials. Press Ctrl-C again to kill them; the same command resumes the job."
        return "Killing the running trials. The same command resumes the job."

    def _send(self) -> None:
        """Ask the job to stop, the second time to cancel; a job that has just ended needs neither."""
        verb = "stop" if self.requests == 0 else "cancel"
        self.requests = min(self.interrupts.count, self.requests + 1)
        try:
            self.client.post(f"{path_of(self.job_id)}:{verb}")
        except ProblemReceived as problem:
            if problem.status != _CONFLICT:
                raise

"""Reasons for the driver to leave a Tune run at once, and the exception that carries them through Tune."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from enum import Enum
from types import FrameType
from typing import Any, TypeVar

from searchsvc.domain import JobRequest, JobState
from searchsvc.errors import SearchsvcError
from workers.driver.heartbeat import Heartbeat

T = TypeVar("T")
_TICK_SECONDS = 0.1
_BACKGROUND = "background call"


class Reason(Enum):
    """Why the driver leaves Tune at once."""

    PAUSE = "paused"
    STOP = "stopped while it waited"
    CANCEL = "cancelled"
    SHUTDOWN = "the service was stopped"
    STUCK = "the connection to Ray does not come about"
    DATA_CHANGED = "its data have changed"
    ERROR = "error"


class Interrupted(BaseException):
    """Raised through Tune. A BaseException: Tune's clean-up would wait for the actors that are about to be killed."""

    def __init__(self, reason: Reason, error: SearchsvcError | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.error = error


@contextmanager
def interrupting() -> Iterator[None]:
    """Turn the service's own errors (a lost lease, an unavailable database) into Interrupted, so that Tune ends."""
    try:
        yield
    except SearchsvcError as error:
        raise Interrupted(Reason.ERROR, error) from error


def in_background(call: Callable[[], T]) -> Future[T]:
    """Start `call` in a daemon thread: it does not keep the process from ending."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result receives it
            future.set_exception(error)

    threading.Thread(target=run, name=_BACKGROUND, daemon=True).start()
    return future


def is_any_unfinished() -> bool:
    """Return whether any background call still runs."""
    return any(thread.name == _BACKGROUND for thread in threading.enumerate())


class StopRequests:
    """Requests to end the job at once: a user's pause or cancellation, a signal to the process.

    A stop lets running trials finish; but a job that waits ends at once, with what it has.
    """

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self.shutdown = False
        """Set by a signal handler: all attempts are requeued and the driver ends."""
        self._needed: list[Future[Any]] = []

    def hear_sigterm(self) -> None:
        """Let SIGTERM end the job's run. Call it in the main thread."""
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def depend_on(self, future: Future[Any]) -> None:
        """Let the failure of a background call end whatever goes on meanwhile."""
        self._needed.append(future)

    def check(self) -> None:
        """Raise Interrupted if the job must end at once, or the error of a background call that it depends on."""
        job = self._heartbeat.job
        if job.request is JobRequest.CANCEL:
            raise Interrupted(Reason.CANCEL)
        if job.request is JobRequest.PAUSE:
            raise Interrupted(Reason.PAUSE)
        if self.shutdown:
            raise Interrupted(Reason.SHUTDOWN)
        if job.state is JobState.STOPPING and self._heartbeat.waiting_for is not None:
            raise Interrupted(Reason.STOP)
        for future in self._needed:
            if future.done():
                future.result()

    def await_result(self, call: Callable[[], T]) -> T:
        """Return the result of a call that may take long. Raises Interrupted if the job must end before."""
        future = in_background(call)
        while not self.is_done(future, _TICK_SECONDS):
            pass
        return future.result()

    def is_done(self, future: Future[Any], seconds: float) -> bool:
        """Wait for a background call for at most `seconds`. Raises Interrupted if the job must end before."""
        self.check()
        return bool(wait([future], seconds).done)

    def sleep(self, seconds: float) -> None:
        """Wait. Raises Interrupted if the job must end at once."""
        deadline = time.monotonic() + seconds
        while (rest := deadline - time.monotonic()) > 0:
            self.check()
            time.sleep(min(rest, _TICK_SECONDS))
        self.check()

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler
        self.shutdown = True

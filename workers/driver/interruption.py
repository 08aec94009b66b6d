"""Reasons for the driver to leave a Tune run at once, and the exception that carries them through Tune."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from searchsvc.domain import JobRequest
from searchsvc.errors import SearchsvcError
from workers.driver.heartbeat import Heartbeat


class Reason(Enum):
    """Why the driver leaves Tune at once."""

    PAUSE = "paused"
    CANCEL = "cancelled"
    SHUTDOWN = "the service was stopped"
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


class StopRequests:
    """Requests to end the job at once: a user's pause or cancellation, a signal to the process."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self.shutdown = False
        """Set by a signal handler: all attempts are requeued and the driver ends."""

    def check(self) -> None:
        """Raise Interrupted if the job must end at once."""
        request = self._heartbeat.job.request
        if request is JobRequest.CANCEL:
            raise Interrupted(Reason.CANCEL)
        if request is JobRequest.PAUSE:
            raise Interrupted(Reason.PAUSE)
        if self.shutdown:
            raise Interrupted(Reason.SHUTDOWN)

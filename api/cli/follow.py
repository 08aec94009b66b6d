"""Following a job until it ends, on a screen."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from api.cli.client import Client, ServerEvent, path_of
from api.cli.exits import ProblemReceived, Unreachable

FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
_SLOWEST_SECONDS = 1.0
_FASTEST_SECONDS = 0.25


class Screen(Protocol):
    """A display of a job that is followed."""

    def show(self, job: dict[str, Any], notice: str | None) -> None:
        """Show the job as it is now, with a notice to the user."""
        ...

    def event(self, event: ServerEvent) -> None:
        """Show an event of the job."""
        ...

    def close(self) -> None:
        """Stop showing."""
        ...


class StopFollowing(Exception):
    """There is nothing to wait for, although the job has not ended."""


def follow(
    client: Client,
    job_id: str,
    screen: Screen,
    *,
    after: str = "latest",
    each: Callable[[dict[str, Any]], str | None] = lambda _: None,
) -> dict[str, Any]:
    """Show the job until it has ended, and return its last document.

    `after`: events with a higher sequence number are shown. `each` receives every document and returns a notice to show
    with it, or raises StopFollowing to leave before the end.
    """
    events = _Events(client, job_id, after)
    try:
        while True:
            job: dict[str, Any] = client.get(path_of(job_id))
            is_over = job["state"] in FINAL
            if is_over:
                events.drain(screen.event, wait_seconds=2.0)
            screen.show(job, None if is_over else each(job))
            if is_over:
                return job
            began = time.monotonic()
            events.drain(screen.event, wait_seconds=_SLOWEST_SECONDS, until_end=False)
            time.sleep(max(0.0, _FASTEST_SECONDS - (time.monotonic() - began)))
    except StopFollowing:
        return job
    finally:
        screen.close()


class _Events:
    """The events of a job, read in a thread."""

    def __init__(self, client: Client, job_id: str, after: str) -> None:
        self._client, self._path, self._after = client, path_of(job_id, "events"), after
        self._queue: queue.Queue[ServerEvent | None] = queue.Queue()
        self._ended = False
        threading.Thread(target=self._read, name="searchctl-events", daemon=True).start()

    def _read(self) -> None:
        try:
            for event in self._client.events(self._path, after=self._after, until_final="true"):
                self._queue.put(event)
        except (ProblemReceived, Unreachable, RuntimeError):
            pass  # the requests for the job itself meet the same error, and report it
        finally:
            self._queue.put(None)

    def drain(self, take: Callable[[ServerEvent], None], *, wait_seconds: float, until_end: bool = True) -> None:
        """Pass on events: up to the end of the stream, or those that have arrived once the first has come."""
        deadline = time.monotonic() + wait_seconds
        first = True
        while not self._ended:
            remaining = deadline - time.monotonic() if first or until_end else 0.0
            try:
                event = self._queue.get(timeout=remaining) if remaining > 0 else self._queue.get_nowait()
            except queue.Empty:
                return
            self._ended = event is None
            if event is not None:
                take(event)
                first = False
        if not until_end:
            time.sleep(max(0.0, deadline - time.monotonic()))

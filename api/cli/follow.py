"""Following a job until it ends: a live picture on a terminal, one line per ended trial elsewhere."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import typer

from api import rounds_text as views_rounds
from api import text
from api.cli.client import Client, ServerEvent, path_of
from api.cli.exits import ProblemReceived, Unreachable
from api.cli.output import console
from api.cli.views import jobs as views

FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
_SHOWN = 50
_SLOWEST_SECONDS = 1.0
_FASTEST_SECONDS = 0.25


class Screen(Protocol):
    """Where a job that is followed is shown."""

    def show(self, job: dict[str, Any], notice: str | None) -> None: ...

    def event(self, event: ServerEvent) -> None: ...

    def close(self) -> None: ...


def follow(
    client: Client,
    job_id: str,
    screen: Screen,
    *,
    after: str = "latest",
    each: Callable[[dict[str, Any]], str | None] = lambda _: None,
) -> dict[str, Any]:
    """Show the job until it has ended; its last document.

    `after`: the sequence number of the event from which on events are told. `each` sees every document and says what is
    to be told beside it; it raises StopFollowing to leave before the end.
    """
    events = _Events(client, job_id, after)
    try:
        while True:
            job: dict[str, Any] = client.get(path_of(job_id))
            over = job["state"] in FINAL
            if over:
                events.drain(screen.event, wait_seconds=2.0)
            screen.show(job, None if over else each(job))
            if over:
                return job
            began = time.monotonic()
            events.drain(screen.event, wait_seconds=_SLOWEST_SECONDS, until_end=False)
            time.sleep(max(0.0, _FASTEST_SECONDS - (time.monotonic() - began)))
    except StopFollowing:
        return job
    finally:
        screen.close()


class StopFollowing(Exception):
    """There is nothing more to wait for, although the job has not ended."""


class _Events:
    """The job's events, read in a thread from now on."""

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
            pass  # the requests for the job itself meet the same, and tell it
        finally:
            self._queue.put(None)

    def drain(self, take: Callable[[ServerEvent], None], *, wait_seconds: float, until_end: bool = True) -> None:
        """Hand on what has come: all up to the end of the stream, or what is there after the first."""
        deadline = time.monotonic() + wait_seconds
        first = True
        while not self._ended:
            left = deadline - time.monotonic() if first or until_end else 0.0
            try:
                event = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                return
            self._ended = event is None
            if event is not None:
                take(event)
                first = False
        if not until_end:
            time.sleep(max(0.0, deadline - time.monotonic()))


class LiveScreen:
    """A picture that is drawn anew in its place."""

    def __init__(self, client: Client) -> None:
        from rich.live import Live

        self._client = client
        self._live = Live(console=console(), auto_refresh=False, transient=True)
        self._live.start()

    def show(self, job: dict[str, Any], notice: str | None) -> None:
        """Draw the job as it is now."""
        from api.cli.views.live import picture

        running = list(self._client.items(path_of(job["id"], "trials"), state="RUNNING", limit=_SHOWN))
        self._live.update(picture(job, running, notice), refresh=True)

    def event(self, event: ServerEvent) -> None:
        """The picture says it all but how the algorithm gets on, which is written above it."""
        if line := _round_line(event.data):
            self._live.console.print(line, markup=False)

    def close(self) -> None:
        self._live.stop()


class PlainScreen:
    """A line for every trial or round that ends and every turn of the job."""

    def __init__(self) -> None:
        self._notice: str | None = None
        self._job: dict[str, Any] | None = None

    def show(self, job: dict[str, Any], notice: str | None) -> None:
        """The first time, what the job is; then only what is to be told."""
        if self._job is None:
            typer.echo(f"{job['name']}  {job['id']}  {job['state']}")
        if notice and notice != self._notice:
            typer.echo(notice)
        self._job, self._notice = job, notice

    def event(self, event: ServerEvent) -> None:
        """Trials that ended, and what became of the job."""
        if line := self._line(event.data):
            typer.echo(line)

    def _line(self, event: Mapping[str, Any]) -> str | None:
        at, data = text.moment(event["at"])[11:], event["data"]
        if event["kind"] == "trial.finished" and self._job:
            trial = {"costs": {}, "metrics": {}, **data}
            said = views.trial_line(trial, views.metric_names(self._job["spec"]))
            return f"{at}  {data['state'].lower():<9}  {said}  {views.remark(trial)}".rstrip()
        if line := _round_line(event):
            return f"{at}  {line}"
        return f"{at}  {event['kind'].replace('.', ' ')}" if event["kind"].startswith("job.") else None

    def close(self) -> None:
        """Nothing is held."""


class NoScreen:
    """Nothing is shown: one document follows at the end."""

    def show(self, job: dict[str, Any], notice: str | None) -> None: ...

    def event(self, event: ServerEvent) -> None: ...

    def close(self) -> None: ...


def _round_line(event: Mapping[str, Any]) -> str | None:
    """What an algorithm said after a round; None for other events."""
    if event["kind"] != "round.finished":
        return None
    said = dict(event["data"])
    return views_rounds.round_line(said.pop("round"), said)


def screen_for(client: Client, *, as_json: bool) -> Screen:
    """The picture on a terminal, lines elsewhere, nothing where a document is asked for."""
    if as_json:
        return NoScreen()
    return LiveScreen(client) if console().is_terminal else PlainScreen()

"""Screens for a job that is followed: a live picture on a terminal, a line per event elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from rich.live import Live

from api import text
from api.cli.client import Client, ServerEvent, path_of
from api.cli.follow import Screen
from api.cli.output import console
from api.cli.views import jobs as views
from api.cli.views.live import picture
from api.rounds_text import round_line

_SHOWN = 50


def screen_for(client: Client, *, as_json: bool) -> Screen:
    """Return the picture on a terminal, lines elsewhere, or no screen if a document is printed at the end."""
    if as_json:
        return NoScreen()
    return LiveScreen(client) if console().is_terminal else PlainScreen()


class LiveScreen:
    """A picture of the job that is redrawn in place."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._live = Live(console=console(), auto_refresh=False, transient=True)
        self._live.start()

    def show(self, job: dict[str, Any], notice: str | None) -> None:
        """Draw the job as it is now, with its running trials."""
        running = list(self._client.items(path_of(job["id"], "trials"), state="RUNNING", limit=_SHOWN))
        self._live.update(picture(job, running, notice), refresh=True)

    def event(self, event: ServerEvent) -> None:
        """Print the report of a round above the picture, which shows everything else."""
        if line := _round_line(event.data):
            self._live.console.print(line, markup=False)

    def close(self) -> None:
        self._live.stop()


class PlainScreen:
    """A line for every trial or round that ends and every change of the job's state."""

    def __init__(self) -> None:
        self._notice: str | None = None
        self._job: dict[str, Any] | None = None

    def show(self, job: dict[str, Any], notice: str | None) -> None:
        """Print the job the first time, then only notices."""
        if self._job is None:
            typer.echo(f"{job['name']}  {job['id']}  {job['state']}")
        if notice and notice != self._notice:
            typer.echo(notice)
        self._job, self._notice = job, notice

    def event(self, event: ServerEvent) -> None:
        """Print the end of a trial or round, or a change of the job's state."""
        if line := self._line(event.data):
            typer.echo(line)

    def _line(self, event: Mapping[str, Any]) -> str | None:
        at, data = text.moment(event["at"])[11:], event["data"]
        if event["kind"] == "trial.finished" and self._job:
            trial = {"costs": {}, "metrics": {}, **data}
            result = views.trial_line(trial, views.metric_names(self._job["spec"]))
            return f"{at}  {data['state'].lower():<9}  {result}  {views.remark(trial)}".rstrip()
        if line := _round_line(event):
            return f"{at}  {line}"
        if event["kind"] in ("job.waiting", "job.data_changed"):
            return f"{at}  job {data['reason']}"
        return f"{at}  {event['kind'].replace('.', ' ')}" if event["kind"].startswith("job.") else None

    def close(self) -> None:
        """Do nothing."""


class NoScreen:
    """A screen that shows nothing, because a document follows at the end."""

    def show(self, job: dict[str, Any], notice: str | None) -> None: ...

    def event(self, event: ServerEvent) -> None: ...

    def close(self) -> None: ...


def _round_line(event: Mapping[str, Any]) -> str | None:
    """Return the report of a round, or None for other events."""
    if event["kind"] != "round.finished":
        return None
    report = dict(event["data"])
    return round_line(report.pop("round"), report)

"""searchctl watch and wait: follow a job until it ends."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from api.cli.client import Client, path_of
from api.cli.exits import Exit, TimedOut
from api.cli.follow import FINAL, follow
from api.cli.options import AsJson, JobArgument
from api.cli.output import emit, hint, say
from api.cli.session import pasted, session
from api.cli.views.jobs import job_lines
from api.cli.views.screens import screen_for


def watch(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
    """Follow a job until it ends. Interrupting this command leaves the job running."""
    with session(ctx).client() as client:
        watch_job(client, client.get(path_of(job))["id"], as_json=as_json)


def wait(
    ctx: typer.Context,
    job: JobArgument,
    timeout: Annotated[float | None, typer.Option("--timeout", min=0, help="Give up after this many seconds.")] = None,
    as_json: AsJson = False,
) -> None:
    """Wait silently until a job ends."""
    deadline = None if timeout is None else time.monotonic() + timeout
    with session(ctx).client() as client:
        while (job_document := client.get(path_of(job)))["state"] not in FINAL:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimedOut(f"{job_document['name']} is still {job_document['state']}")
            time.sleep(0.5)
    _end_as(job_document, as_json=as_json)


def watch_job(client: Client, job_id: str, *, as_json: bool) -> None:
    """Show a job until it ends, and exit with 1 unless it succeeded."""
    if client.is_local and not as_json:
        hint(f"No service is running here: the job moves only while something runs it. Start it: {pasted('serve')}")
    _end_as(follow(client, job_id, screen_for(client, as_json=as_json)), as_json=as_json)


def _end_as(job: dict[str, Any], *, as_json: bool) -> None:
    """Print how the job ended, and exit with 1 unless it succeeded."""
    if as_json:
        emit(job)
    else:
        say(job_lines(job))
    if job["state"] in ("FAILED", "CANCELLED"):
        raise typer.Exit(Exit.FAILED)

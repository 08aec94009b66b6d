"""Commands that show jobs."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from api.cli.client import Client, path_of
from api.cli.options import AsJson, JobArgument, JobStateOption, Limit
from api.cli.output import emit, hint, say
from api.cli.session import session
from api.cli.views.jobs import job_lines, job_table
from api.cli.views.trial import trial_lines


def list_jobs(
    ctx: typer.Context,
    state: JobStateOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Only jobs of this name.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with session(ctx).client() as client:
        jobs = list(client.items("/jobs", state=state and state.upper(), name=name, limit=limit))
    if as_json:
        emit(jobs)
    elif jobs:
        say(job_table(jobs))
    else:
        hint("No jobs. Submit one: searchctl submit SPEC")


def show(
    ctx: typer.Context,
    job: JobArgument,
    trial: Annotated[int | None, typer.Option("--trial", "-t", min=0, help="Show this trial of the job.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the details of a job, or of one of its trials."""
    with session(ctx).client() as client:
        if trial is not None:
            return _show_trial(client, path_of(job, "trials", trial), as_json=as_json)
        document = client.get(path_of(job))
    return emit(document) if as_json else say(job_lines(document))


def logs(
    ctx: typer.Context,
    job: JobArgument,
    trial: Annotated[int | None, typer.Option("--trial", "-t", min=0, help="The log of this trial.")] = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=100_000, help="Number of lines from the end.")
    ] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing as the log grows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the log of a job's driver, or of one of its trials."""
    path = path_of(job, "logs") if trial is None else path_of(job, "trials", trial, "logs")
    with session(ctx).client() as client:
        part = client.get(path, lines=lines)
        if as_json:
            return emit(part)
        typer.echo(part["text"], nl=False)
        while follow:
            time.sleep(0.5)
            part = client.get(path, offset=part["end"])
            typer.echo(part["text"], nl=False)
    return None


def _show_trial(client: Client, path: str, *, as_json: bool) -> None:
    trial, measurements = client.get(path), list(client.items(f"{path}/measurements"))
    if as_json:
        return emit({**trial, "measurements": measurements})
    return say(*trial_lines(trial, measurements))

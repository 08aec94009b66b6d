"""Commands that steer jobs through their life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from api.cli.client import path_of
from api.cli.options import AsJson, Changes, JobArgument
from api.cli.output import emit, say
from api.cli.session import session
from api.cli.specs import changed


def _verb(name: str, help: str, done: str, requested: str | None = None) -> Callable[..., None]:  # noqa: A002 - typer's name
    """Return a command that sends a single request about a job.

    `requested` is said instead of `done` if the driver of the job has yet to carry the request out.
    """

    def command(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
        with session(ctx).client() as client:
            document = client.post(f"{path_of(job)}:{name}")
            _say_job(document, requested if requested and document["request"] else done, as_json=as_json)

    command.__doc__ = help
    return command


AcceptData = Annotated[bool, typer.Option("--accept-data", help="Continue even if the data of the job have changed.")]


def _consenting(name: str, help: str, done: str) -> Callable[..., None]:  # noqa: A002 - typer's name
    """Return a command that sends a request which may start a job whose data have changed."""

    def command(ctx: typer.Context, job: JobArgument, accept_data: AcceptData = False, as_json: AsJson = False) -> None:
        consent = {"accept_data": True} if accept_data else None
        with session(ctx).client() as client:
            _say_job(client.post(f"{path_of(job)}:{name}", consent), done, as_json=as_json)

    command.__doc__ = help
    return command


pause = _verb(
    "pause", "Pause a job: its trials stop at once and later resume where they were.", "is paused", "will be paused"
)
resume = _consenting("resume", "Resume a paused job.", "resumes")
stop = _verb("stop", "Drain a job: no trial starts, running trials finish, the results count.", "stops")
cancel = _verb(
    "cancel", "Kill a job: its open trials end at once and do not count.", "is cancelled", "will be cancelled"
)
retry = _consenting("retry", "Run the failed trials of a job again.", "runs its failed trials again")


def clone(ctx: typer.Context, job: JobArgument, changes: Changes = None, as_json: AsJson = False) -> None:
    """Submit a new job with the spec of another job, changed by --set."""
    with session(ctx).client() as client:
        patch = changed(client.get(path_of(job))["spec"], changes or ())
        _say_job(client.post(f"{path_of(job)}:clone", patch), "was submitted", as_json=as_json)


def extend(
    ctx: typer.Context,
    job: JobArgument,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="Total number of trials, including those done.")
    ] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="Total seconds under a driver.")] = None,
    gpu_hours: Annotated[float | None, typer.Option("--gpu-hours", help="Total GPU-hours.")] = None,
    accept_data: AcceptData = False,
    as_json: AsJson = False,
) -> None:
    """Give a job a larger budget; a job that has ended resumes."""
    budget = {"trials": trials, "seconds": seconds, "gpu_hours": gpu_hours, "accept_data": accept_data or None}
    changes = {name: value for name, value in budget.items() if value is not None}
    with session(ctx).client() as client:
        _say_job(client.post(f"{path_of(job)}:extend", changes), "has a larger budget", as_json=as_json)


def delete(
    ctx: typer.Context,
    job: JobArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a job that is not running, with its trials, weights and logs."""
    with session(ctx).client() as client:
        document = client.get(path_of(job))
        if not yes:
            typer.confirm(f"Delete {document['name']} ({document['id']}) and all its results?", abort=True, err=True)
        client.delete(path_of(document["id"]))
    if as_json:
        emit({"deleted": document["id"]})
    else:
        say(f"Deleted {document['name']}: {document['id']}")


def _say_job(job: dict[str, Any], done: str, *, as_json: bool) -> None:
    if as_json:
        emit(job)
    else:
        request = f", {job['request'].lower()} asked for" if job["request"] else ""
        say(f"{job['name']} {done}: {job['id']} ({job['state']}{request})")

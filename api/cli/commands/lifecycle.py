"""Commands that change jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from api.cli.options import AsJson, Changes, JobArgument, session


def _verb(name: str, help: str, done: str) -> Callable[..., None]:  # noqa: A002 - the word of typer
    """A command that asks one thing of one job."""

    def command(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
        from api.cli.client import path_of

        with session(ctx).client() as client:
            _tell(client.post(f"{path_of(job)}:{name}"), done, as_json=as_json)

    command.__doc__ = help
    return command


pause = _verb("pause", "Pause a job: its trials stop at once and go on later from where they were.", "pauses")
resume = _verb("resume", "Let a paused job go on.", "goes on")
stop = _verb("stop", "Drain a job: nothing new starts, running trials finish, the results count.", "stops")
cancel = _verb("cancel", "Kill a job: its open trials end at once and do not count.", "is cancelled")
retry = _verb("retry", "Run the failed trials of a job again.", "runs its failed trials again")


def clone(ctx: typer.Context, job: JobArgument, changes: Changes = None, as_json: AsJson = False) -> None:
    """Submit a new job with the spec of another one, changed by --set."""
    from api.cli.client import path_of
    from api.cli.specs import changed

    with session(ctx).client() as client:
        patch = changed(client.get(path_of(job))["spec"], changes or ())
        _tell(client.post(f"{path_of(job)}:clone", patch), "was submitted", as_json=as_json)


def extend(
    ctx: typer.Context,
    job: JobArgument,
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="Trials in all, not in addition.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="Seconds under a driver in all.")] = None,
    gpu_hours: Annotated[float | None, typer.Option("--gpu-hours", help="GPU-hours in all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give a job a larger budget; one that has ended goes on."""
    from api.cli.client import path_of

    budget = {"trials": trials, "seconds": seconds, "gpu_hours": gpu_hours}
    given = {name: value for name, value in budget.items() if value is not None}
    with session(ctx).client() as client:
        _tell(client.post(f"{path_of(job)}:extend", given), "has a larger budget", as_json=as_json)


def delete(
    ctx: typer.Context,
    job: JobArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a job that is not running, with its trials, weights and logs."""
    from api.cli.client import path_of
    from api.cli.output import emit, say

    with session(ctx).client() as client:
        found = client.get(path_of(job))
        if not yes:
            typer.confirm(f"Delete {found['name']} ({found['id']}) and all its results?", abort=True, err=True)
        client.delete(path_of(found["id"]))
    if as_json:
        emit({"deleted": found["id"]})
    else:
        say(f"Deleted {found['name']}: {found['id']}")


def _tell(job: dict[str, Any], done: str, *, as_json: bool) -> None:
    from api.cli.output import emit, say

    if as_json:
        emit(job)
    else:
        asked = f", {job['request'].lower()} asked for" if job["request"] else ""
        say(f"{job['name']} {done}: {job['id']} ({job['state']}{asked})")

"""Commands that submit jobs and look at them."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from api.cli.options import AsJson, Changes, JobArgument, Limit, SpecArgument, session

State = Annotated[str | None, typer.Option("--state", help="Only those in this state: RUNNING, FAILED, ...")]


def submit(
    ctx: typer.Context,
    spec: SpecArgument,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow the job until it ends.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run; store and spend nothing.")] = False,
    changes: Changes = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Idempotency key: the same one never makes two jobs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit a job to the service."""
    from api.cli.output import emit, hint, say
    from api.cli.specs import read_spec
    from api.cli.views.jobs import plan_lines

    document = read_spec(spec, changes or ())
    with session(ctx).client() as client:
        if dry_run:
            plan = client.post("/jobs", document, validate_only="true")
            return emit(plan) if as_json else say(*plan_lines(plan))
        job = client.post("/jobs", document, key=key)
        if watch:
            return _watch(client, job["id"], as_json=as_json)
        if as_json:
            return emit(job)
        say(f"Submitted {job['name']}: {job['id']}")
        if client.is_local:
            hint("No service is running: the job waits until one is. Start it: searchctl serve")
        return None


def list_jobs(
    ctx: typer.Context,
    state: State = None,
    name: Annotated[str | None, typer.Option("--name", help="Only jobs of this name.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    from api.cli.output import emit, hint, say
    from api.cli.views.jobs import job_table

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
    trial: Annotated[int | None, typer.Option("--trial", "-t", min=0, help="This trial of the job, whole.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show everything about a job, or about one of its trials."""
    from api.cli.client import path_of
    from api.cli.output import emit, say
    from api.cli.views.jobs import job_lines

    with session(ctx).client() as client:
        if trial is not None:
            return _show_trial(client, path_of(job, "trials", trial), as_json=as_json)
        found = client.get(path_of(job))
    return emit(found) if as_json else say(job_lines(found))


def watch(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
    """Follow a job until it ends. The job goes on when this is interrupted."""
    from api.cli.client import path_of

    with session(ctx).client() as client:
        _watch(client, client.get(path_of(job))["id"], as_json=as_json)


def wait(
    ctx: typer.Context,
    job: JobArgument,
    timeout: Annotated[float | None, typer.Option("--timeout", min=0, help="Give up after so many seconds.")] = None,
    as_json: AsJson = False,
) -> None:
    """Wait, in silence, until a job ends."""
    from api.cli.client import path_of
    from api.cli.exits import Exit
    from api.cli.follow import FINAL

    deadline = None if timeout is None else time.monotonic() + timeout
    with session(ctx).client() as client:
        while (found := client.get(path_of(job)))["state"] not in FINAL:
            if deadline is not None and time.monotonic() >= deadline:
                typer.secho(f"{found['name']} is still {found['state']}", fg=typer.colors.RED, err=True)
                raise typer.Exit(Exit.TIMED_OUT)
            time.sleep(0.5)
    end_as(found, as_json=as_json)


def trials(
    ctx: typer.Context,
    job: JobArgument,
    state: State = None,
    newest: Annotated[bool, typer.Option("--newest", help="The newest first.")] = False,
    values: Annotated[bool, typer.Option("--values", help="What each is made of, instead of remarks.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the trials of a job."""
    order = "newest" if newest else None
    _list_trials(ctx, job, "trials", as_json, values, limit=limit, state=state and state.upper(), order=order)


def best(
    ctx: typer.Context,
    job: JobArgument,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="So many.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show the best trials by the first objective that keep every constraint."""
    _list_trials(ctx, job, "best", as_json, True, k=k)


def pareto(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
    """Show the Pareto front: the trials that no other one beats in every objective."""
    _list_trials(ctx, job, "pareto", as_json, True)


def rounds(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
    """Show what the algorithm said of its rounds: how well it predicted, what it decided."""
    from api.cli.client import path_of
    from api.cli.output import emit, hint, say
    from api.rounds_text import round_table

    with session(ctx).client() as client:
        found = client.get(path_of(job, "rounds"))["items"]
        if as_json:
            return emit(found)
        if found:
            return say(round_table(found))
        name = client.get(path_of(job))["spec"]["algorithm"]["name"]
    return hint(f"No rounds: {name} has said nothing of any so far. Only algorithms that learn in rounds do.")


def distributions(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
    """Show what the supernet of a job has learned of each parameter: its options and their probabilities now."""
    from api.cli.client import path_of
    from api.cli.output import emit, say
    from api.cli.views.distributions import distribution_lines

    with session(ctx).client() as client:
        found = client.get(path_of(job, "distributions"))
    return emit(found) if as_json else say(*distribution_lines(found))


def compare(
    ctx: typer.Context,
    trials: Annotated[list[str], typer.Argument(metavar="JOB/NUMBER...", help="Trials, of one job or of several.")],
    everything: Annotated[bool, typer.Option("--all", help="Parameters in which they are alike, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show trials side by side."""
    from api.cli.client import path_of
    from api.cli.output import emit, say
    from api.cli.views.jobs import comparison

    with session(ctx).client() as client:
        steps = [_trial_steps(one) for one in trials]
        found = [client.get(path_of(job, "trials", number)) for job, number in steps]
    return emit(found) if as_json else say(comparison(found, everything=everything))


def logs(
    ctx: typer.Context,
    job: JobArgument,
    trial: Annotated[int | None, typer.Option("--trial", "-t", min=0, help="The log of this trial.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=100_000, help="So many from the end.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print what the driver of a job, or one of its trials, has written."""
    from api.cli.client import path_of
    from api.cli.output import emit

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


def end_as(job: dict[str, Any], *, as_json: bool) -> None:
    """Tell how the job ended, and exit as that."""
    from api.cli.exits import Exit
    from api.cli.output import emit, say
    from api.cli.views.jobs import job_lines

    if as_json:
        emit(job)
    else:
        say(job_lines(job))
    if job["state"] in ("FAILED", "CANCELLED"):
        raise typer.Exit(Exit.FAILED)


def _trial_steps(trial: str) -> tuple[str, str]:
    """Job and number of JOB/NUMBER. Raises InvalidInput."""
    from searchsvc.errors import InvalidInput

    job, slash, number = trial.rpartition("/")
    if not slash or not number.isdecimal():
        raise InvalidInput.at("", f"a trial is named JOB/NUMBER, as in digits/7, not {trial!r}")
    return job, number


def _watch(client: Any, job_id: str, *, as_json: bool) -> None:
    from api.cli.follow import follow, screen_for
    from api.cli.output import hint

    if client.is_local and not as_json:
        hint("No service is running here: the job moves only while something runs it. Start it: searchctl serve")
    end_as(follow(client, job_id, screen_for(client, as_json=as_json)), as_json=as_json)


def _list_trials(ctx: typer.Context, job: str, what: str, as_json: bool, values: bool, **parameters: Any) -> None:
    from api.cli.client import path_of
    from api.cli.output import emit, hint, say
    from api.cli.views.jobs import metric_names, trial_table

    with session(ctx).client() as client:
        if what == "trials":
            found = list(client.items(path_of(job, "trials"), **parameters))
        else:
            found = client.get(path_of(job, what), **parameters)["items"]
        if as_json:
            return emit(found)
        spec = client.get(path_of(job))["spec"]
    if not found:
        return hint("No trials.")
    return say(trial_table(found, metric_names(spec), values=values, tested=what != "trials"))


def _show_trial(client: Any, path: str, *, as_json: bool) -> None:
    from api import text
    from api.cli.output import emit, say, state, table
    from api.cli.views.jobs import for_people, pairs, remark, values_table

    trial, measured = client.get(path), list(client.items(f"{path}/measurements"))
    if as_json:
        return emit({**trial, "measurements": measured})
    known = {**trial["costs"], **for_people(trial, trial["metrics"])}
    head = [("trial", f"#{trial['number']}  {trial['id']}"), ("state", state(trial["state"])), ("why", remark(trial))]
    facts = [(name, text.quantity(name, one)) for name, one in known.items()]
    facts += [(f"test {name}", text.quantity(name, one)) for name, one in (trial["test_metrics"] or {}).items()]
    names = list(dict.fromkeys(name for one in measured for name in for_people(trial, one["metrics"])))
    rows = [
        (
            str(one["step"]),
            *(text.quantity(name, one["metrics"].get(name)) for name in names),
            text.duration(one["seconds"]),
        )
        for one in measured
    ]
    epochs: list[Any] = ["", table(("epoch", *names, "time"), rows, right=("epoch", *names, "time"))] if rows else []
    return say(pairs([*head, *facts]), "", values_table(trial), *epochs)

"""Commands that show the trials of a job and the findings of its algorithm."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.cli.client import path_of
from api.cli.options import AsJson, JobArgument, Limit, TrialStateOption
from api.cli.output import emit, hint, say
from api.cli.session import session
from api.cli.views.distributions import distribution_lines
from api.cli.views.jobs import comparison, metric_names, trial_table
from api.cli.views.rounds import round_table
from searchsvc.errors import InvalidInput


def trials(
    ctx: typer.Context,
    job: JobArgument,
    state: TrialStateOption = None,
    newest: Annotated[bool, typer.Option("--newest", help="Newest first.")] = False,
    values: Annotated[
        bool, typer.Option("--values", help="Show the candidate of each trial instead of remarks.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the trials of a job."""
    order = "newest" if newest else None
    _list_trials(ctx, job, "trials", as_json, values, limit=limit, state=state and state.upper(), order=order)


def best(
    ctx: typer.Context,
    job: JobArgument,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="Number of trials.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show the trials that satisfy every constraint and are best by the first objective."""
    _list_trials(ctx, job, "best", as_json, True, k=k)


def pareto(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
    """Show the Pareto front: the trials that no other trial beats in every objective."""
    _list_trials(ctx, job, "pareto", as_json, True)


def rounds(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
    """Show the algorithm's report of each round: prediction quality, decisions."""
    with session(ctx).client() as client:
        reports = client.get(path_of(job, "rounds"))["items"]
        if as_json:
            return emit(reports)
        if reports:
            return say(round_table(reports))
        name = client.get(path_of(job))["spec"]["algorithm"]["name"]
    return hint(f"No rounds: {name} has reported none so far. Only algorithms that learn in rounds do.")


def distributions(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
    """Show the probabilities that a job's supernet has learned for the options of each parameter."""
    with session(ctx).client() as client:
        learned = client.get(path_of(job, "distributions"))
    return emit(learned) if as_json else say(*distribution_lines(learned))


def compare(
    ctx: typer.Context,
    trials: Annotated[list[str], typer.Argument(metavar="JOB/NUMBER...", help="Trials, of one job or several.")],
    everything: Annotated[bool, typer.Option("--all", help="Show equal parameters as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show trials side by side."""
    with session(ctx).client() as client:
        paths = [_trial_path(trial) for trial in trials]
        documents = [client.get(path) for path in paths]
    return emit(documents) if as_json else say(comparison(documents, everything=everything))


def _trial_path(trial: str) -> str:
    """Return the path of JOB/NUMBER. Raises InvalidInput."""
    job, slash, number = trial.rpartition("/")
    if not slash or not number.isdecimal():
        raise InvalidInput.at("", f"a trial is named JOB/NUMBER, as in digits/7, not {trial!r}")
    return path_of(job, "trials", number)


def _list_trials(ctx: typer.Context, job: str, what: str, as_json: bool, values: bool, **parameters: Any) -> None:
    with session(ctx).client() as client:
        if what == "trials":
            documents = list(client.items(path_of(job, "trials"), **parameters))
        else:
            documents = client.get(path_of(job, what), **parameters)["items"]
        if as_json:
            return emit(documents)
        spec = client.get(path_of(job))["spec"]
    if not documents:
        return hint("No trials.")
    return say(trial_table(documents, metric_names(spec), values=values, tested=what != "trials"))

"""Commands that make something of what a job has found: report, recommend, transfer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, TypeAlias

import typer

from api.cli.options import AsJson, JobArgument, session

Limits: TypeAlias = list[str] | None


def report(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
    """Show what pre-training, self-training and stronger augmentation are worth by amount of data, with intervals."""
    from api.cli.client import path_of
    from api.cli.output import emit, say
    from api.cli.views.recommend import gain_lines

    with session(ctx).client() as client:
        found = client.get(path_of(job, "report"))
    return emit(found) if as_json else say(*gain_lines(found))


def recommend(
    ctx: typer.Context,
    job: JobArgument,
    most: Annotated[
        Limits, typer.Option("--max", metavar="METRIC=VALUE", help="At most so much: --max flops=5e6. May be repeated.")
    ] = None,
    least: Annotated[
        Limits,
        typer.Option("--min", metavar="METRIC=VALUE", help="At least so much: --min params=1e4. May be repeated."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=20, help="So many candidates.")] = 5,
    train: Annotated[bool, typer.Option("--train", help="Submit a job that trains them, in full.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find the best candidates within other limits, by what the trials of a job taught; trains nothing."""
    from api.cli.client import path_of
    from api.cli.output import emit, say
    from api.cli.views.recommend import advice_lines

    wish = {"constraints": constraints(most or (), least or ()), "k": k, "train": train}
    with session(ctx).client() as client:
        advice = client.post(f"{path_of(job)}:recommend", wish)
        if as_json:
            return emit(advice)
        say(*advice_lines(advice))
        return _submitted(client, advice["job"]) if train else None


def transfer(
    ctx: typer.Context,
    job: JobArgument,
    space: Annotated[str | None, typer.Option("--space", help="A space of networks that have names.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=20, help="So many of the best recipes.")] = 3,
    networks: Annotated[
        list[str] | None, typer.Option("--network", help="This network of the space. May be repeated. Default: a few.")
    ] = None,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, max=20, help="Trials of each, every one with its own seed.")
    ] = 1,
    report: Annotated[bool, typer.Option("--report", help="JOB is a transfer: show what it has measured.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train other networks with the recipes that a job has found, and compare them with the default recipe."""
    from api.cli.client import path_of
    from api.cli.output import emit, hint, say
    from api.cli.views.recommend import transfer_lines

    if report == (space is not None):
        raise typer.BadParameter("name the networks to train by --space SPACE, or ask for the --report of a transfer")
    with session(ctx).client() as client:
        if report:
            measured = client.get(path_of(job, "transfer"))
            return emit(measured) if as_json else say(*transfer_lines(measured))
        wish = {"space": space, "k": k, "networks": networks or [], "repeats": repeats}
        made = client.post(f"{path_of(job)}:transfer", wish)
        if as_json:
            return emit(made)
        _submitted(client, made)
        return hint(f"What it has measured: searchctl transfer {made['id']} --report")


def constraints(most: Iterable[str], least: Iterable[str]) -> list[dict[str, Any]]:
    """The limits as a spec has them, one per metric. Raises InvalidInput."""
    found: dict[str, dict[str, Any]] = {}
    for end, limits in (("max", most), ("min", least)):
        for limit in limits:
            metric, value = _limit(limit, end)
            if end in found.setdefault(metric, {"metric": metric}):
                raise _wrong(f"--{end} {metric} is given twice")
            found[metric][end] = value
    return list(found.values())


def _limit(limit: str, end: str) -> tuple[str, float]:
    metric, equals, number = limit.partition("=")
    try:
        if metric and equals and math.isfinite(value := float(number)):
            return metric, value
    except ValueError:
        pass
    raise _wrong(f"--{end} takes METRIC=VALUE, as in flops=5e6, not {limit!r}")


def _wrong(message: str) -> Exception:
    from searchsvc.errors import InvalidInput

    return InvalidInput.at("", message)


def _submitted(client: Any, job: dict[str, Any]) -> None:
    from api.cli.output import hint, say

    say(f"Submitted {job['name']}: {job['id']} ({job['spec']['budget']['trials']} trials)")
    if client.is_local:
        hint("No service is running: the job waits until one is. Start it: searchctl serve")

"""searchctl recommend: candidates for other limits, predicted from the trials of a job."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, TypeAlias

import typer

from api.cli.client import path_of
from api.cli.options import AsJson, JobArgument
from api.cli.output import emit, say
from api.cli.session import session
from api.cli.submitted import say_submitted
from api.cli.views.recommend import advice_lines
from searchsvc.errors import InvalidInput

Limits: TypeAlias = list[str] | None


def recommend(
    ctx: typer.Context,
    job: JobArgument,
    most: Annotated[
        Limits, typer.Option("--max", metavar="METRIC=VALUE", help="Upper limit: --max flops=5e6. May be repeated.")
    ] = None,
    least: Annotated[
        Limits,
        typer.Option("--min", metavar="METRIC=VALUE", help="Lower limit: --min params=1e4. May be repeated."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=20, help="Number of candidates.")] = 5,
    train: Annotated[bool, typer.Option("--train", help="Submit a job that trains the candidates in full.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find the candidates predicted to be best within other limits; trains nothing."""
    request = {"constraints": constraints(most or (), least or ()), "k": k, "train": train}
    with session(ctx).client() as client:
        advice = client.post(f"{path_of(job)}:recommend", request)
        if as_json:
            return emit(advice)
        say(*advice_lines(advice))
        return say_submitted(client, advice["job"]) if train else None


def constraints(most: Iterable[str], least: Iterable[str]) -> list[dict[str, Any]]:
    """Return the limits as constraints of a spec, a single constraint for each metric. Raises InvalidInput."""
    by_metric: dict[str, dict[str, Any]] = {}
    for end, limits in (("max", most), ("min", least)):
        for limit in limits:
            metric, value = _limit(limit, end)
            if end in by_metric.setdefault(metric, {"metric": metric}):
                raise _wrong(f"--{end} {metric} is given twice")
            by_metric[metric][end] = value
    return list(by_metric.values())


def _limit(limit: str, end: str) -> tuple[str, float]:
    metric, equals, number = limit.rpartition("=")  # names of metrics may hold the sign
    try:
        if metric and equals and math.isfinite(value := float(number)):
            return metric, value
    except ValueError:
        pass
    raise _wrong(f"--{end} takes METRIC=VALUE, as in flops=5e6, not {limit!r}")


def _wrong(message: str) -> Exception:
    return InvalidInput.at("", message)

"""searchctl transfer: train other networks with the recipes that a job has found."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.client import path_of
from api.cli.options import AsJson, JobArgument
from api.cli.output import emit, hint, say
from api.cli.session import pasted, session
from api.cli.submitted import say_submitted
from api.cli.views.transfer import transfer_lines


def transfer(
    ctx: typer.Context,
    job: JobArgument,
    space: Annotated[str | None, typer.Option("--space", help="A space of named networks.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=20, help="Number of the best recipes.")] = 3,
    networks: Annotated[
        list[str] | None, typer.Option("--network", help="A network of the space. May be repeated. Default: a few.")
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats", min=1, max=20, help="Trials of each pair of network and recipe, with different seeds."
        ),
    ] = 1,
    report: Annotated[bool, typer.Option("--report", help="Show the measurements of JOB, a transfer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train other networks with the recipes that a job has found, and compare them with the default recipe."""
    if report == (space is not None):
        raise typer.BadParameter("name the networks to train by --space SPACE, or ask for the --report of a transfer")
    with session(ctx).client() as client:
        if report:
            measured = client.get(path_of(job, "transfer"))
            return emit(measured) if as_json else say(*transfer_lines(measured))
        request = {"space": space, "k": k, "networks": networks or [], "repeats": repeats}
        transfer_job = client.post(f"{path_of(job)}:transfer", request)
        if as_json:
            return emit(transfer_job)
        say_submitted(client, transfer_job)
        return hint(f"To see the measurements: {pasted('transfer', transfer_job['id'], '--report')}")

"""searchctl report: the gains of pre-training, self-training and stronger augmentation."""

from __future__ import annotations

import typer

from api.cli.client import path_of
from api.cli.options import AsJson, JobArgument
from api.cli.output import emit, say
from api.cli.session import session
from api.cli.views.gains import gain_lines


def report(ctx: typer.Context, job: JobArgument, as_json: AsJson = False) -> None:
    """Show the gains of pre-training, self-training and stronger augmentation by amount of data.

    Each gain comes with its 95 % interval.
    """
    with session(ctx).client() as client:
        gains = client.get(path_of(job, "report"))
    return emit(gains) if as_json else say(*gain_lines(gains))

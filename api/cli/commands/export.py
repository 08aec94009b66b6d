"""searchctl export: a result of a job, written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.client import path_of
from api.cli.options import AsJson, JobArgument
from api.cli.output import emit, say
from api.cli.session import session


def _formats() -> list[str]:
    """Return the formats, for the completion of the shell."""
    from searchsvc.service.exports.export import names  # the service: needed only for completion

    return names()


def export(
    ctx: typer.Context,
    job: JobArgument,
    format: Annotated[  # noqa: A002 - the option's name
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="NAME",
            autocompletion=_formats,
            help="weights, onnx, script, spec, csv or optuna; `searchctl tasks` lists the formats of each task.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A file, or a folder.")] = Path(),
    trial: Annotated[
        int | None, typer.Option("--trial", "-t", min=0, help="Trial to export. Default: the best.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a model, the script that trains it, a table of the trials or another result of a job to a file."""
    with session(ctx).client() as client:
        written = client.download(path_of(job, "export"), output, format=format, trial=trial)
    return emit({"path": str(written.absolute()), "bytes": written.stat().st_size}) if as_json else say(str(written))

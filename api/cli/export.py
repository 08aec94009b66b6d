"""searchctl export: the result of a job as a file of its own."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import AsJson, JobArgument, session


class Format(StrEnum):
    """What is written."""

    WEIGHTS = "weights"
    SPEC = "spec"
    CSV = "csv"
    OPTUNA = "optuna"


def export(
    ctx: typer.Context,
    job: JobArgument,
    format: Annotated[  # noqa: A002 - the word of the option
        Format,
        typer.Option("--format", "-f", help="weights: a model; spec: one candidate; csv: all trials; optuna: a study."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A file, or a folder.")] = Path(),
    trial: Annotated[
        int | None, typer.Option("--trial", "-t", min=0, help="Of this trial; otherwise of the best.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the weights, the spec, the trials or an Optuna study of a job to a file."""
    from api.cli.client import path_of
    from api.cli.output import emit, say

    with session(ctx).client() as client:
        written = client.download(path_of(job, "export"), output, format=format.value, trial=trial)
    return emit({"path": str(written.absolute()), "bytes": written.stat().st_size}) if as_json else say(str(written))

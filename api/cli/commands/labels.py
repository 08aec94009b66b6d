"""Commands that check labels: statistics of a label file, trials ranked by other labels, questions to people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.cli.client import path_of
from api.cli.options import AsJson, JobArgument
from api.cli.output import emit, hint, say
from api.cli.session import session
from api.cli.views.labels import reassessment_lines, relabelling_lines, statistics_lines
from searchsvc.labels import read_labels, statistics
from searchsvc.labels.files import write_labels


def labels(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A label file: .json, such as real.json, or .csv.")],
    as_json: AsJson = False,
) -> None:
    """Count the images, the images without a label, the labels and the labels per image of a label file."""
    counts = asdict(statistics(read_labels(file)))
    return emit(counts) if as_json else say(*statistics_lines(counts))


def reassess(
    ctx: typer.Context,
    job: JobArgument,
    file: Annotated[Path, typer.Option("--labels", metavar="FILE", help="A label file, .json or .csv.")],
    k: Annotated[
        int, typer.Option("-k", min=1, max=16, help="An image counts as right if one of the first k answers is right.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Rank the finished trials of a job by other labels, from their stored predictions; trains nothing."""
    with session(ctx).client() as client:
        ranking = client.post(f"{path_of(job)}:reassess", {"labels": read_labels(file), "k": k})
    return emit(ranking) if as_json else say(*reassessment_lines(ranking))


def relabel(
    ctx: typer.Context,
    job: JobArgument,
    networks: Annotated[
        int, typer.Option("--networks", min=1, max=50, help="Number of good, differing trials that propose labels.")
    ] = 5,
    confidence: Annotated[
        float, typer.Option("--confidence", min=0.0, max=1.0, help="Probability from which a trial proposes a label.")
    ] = 0.25,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the labels from all answers so far: .csv or .json."),
    ] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0.5, max=1.0, help="Probability from which a label is accepted.")
    ] = 0.8,
    as_json: AsJson = False,
) -> None:
    """Ask people about the labels of a job's validation images, or write the answers so far to a file."""
    with session(ctx).client() as client:
        if output is None:
            progress = client.post(f"{path_of(job)}:relabel", {"networks": networks, "confidence": confidence})
            page = f"{client.address}/ui/jobs/{client.get(path_of(job))['id']}/relabel"
        else:
            answers = client.get(path_of(job, "relabelling", "labels"), threshold=threshold)
            progress = answers["progress"]
            write_labels(answers["labels"], output)
    if as_json:
        return emit(progress if output is None else answers)
    say(*relabelling_lines(progress))
    return say(str(output)) if output is not None else hint(f"Accept and reject labels here: {page}")

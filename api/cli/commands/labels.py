"""Commands about doubtful labels: what a label file says, trials by other labels, questions to people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import AsJson, JobArgument, session


def labels(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A label file: .json, such as real.json, or .csv.")],
    as_json: AsJson = False,
) -> None:
    """Count what a label file says: images, those without a label, labels, labels per image."""
    from api.cli.output import emit, say
    from api.cli.views.labels import statistics_lines
    from searchsvc.labels import read_labels, statistics

    found = asdict(statistics(read_labels(file)))
    return emit(found) if as_json else say(*statistics_lines(found))


def reassess(
    ctx: typer.Context,
    job: JobArgument,
    file: Annotated[Path, typer.Option("--labels", metavar="FILE", help="A label file, .json or .csv.")],
    k: Annotated[int, typer.Option("-k", min=1, max=16, help="An image is right where one of so many answers is.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Rank the finished trials of a job by other labels, from their stored predictions; trains nothing."""
    from api.cli.client import path_of
    from api.cli.output import emit, say
    from api.cli.views.labels import reassessment_lines
    from searchsvc.labels import read_labels

    with session(ctx).client() as client:
        found = client.post(f"{path_of(job)}:reassess", {"labels": read_labels(file), "k": k})
    return emit(found) if as_json else say(*reassessment_lines(found))


def relabel(
    ctx: typer.Context,
    job: JobArgument,
    networks: Annotated[int, typer.Option("--networks", min=1, max=50, help="So many good trials that differ.")] = 5,
    confidence: Annotated[
        float, typer.Option("--confidence", min=0.0, max=1.0, help="What one gives such a probability is proposed.")
    ] = 0.25,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the labels by all answers so far: .csv or .json."),
    ] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0.5, max=1.0, help="A label is one from this probability on.")
    ] = 0.8,
    as_json: AsJson = False,
) -> None:
    """Ask people about the labels of a job's validation images, or write what they have answered so far."""
    from api.cli.client import path_of
    from api.cli.output import emit, hint, say
    from api.cli.views.labels import relabelling_lines
    from searchsvc.labels.files import write_labels

    with session(ctx).client() as client:
        if output is None:
            made = client.post(f"{path_of(job)}:relabel", {"networks": networks, "confidence": confidence})
            page = f"{client.address}/ui/jobs/{client.get(path_of(job))['id']}/relabel"
        else:
            found = client.get(path_of(job, "relabelling", "labels"), threshold=threshold)
            made = found["progress"]
            write_labels(found["labels"], output)
    if as_json:
        return emit(made if output is None else found)
    say(*relabelling_lines(made))
    return say(str(output)) if output is not None else hint(f"Accept and reject here: {page}")

"""searchctl predict: what the model of a trial says of images in files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import AsJson, JobArgument, session

if TYPE_CHECKING:
    from searchsvc.domain import Prediction

_SHOWN = 5


def predict(
    ctx: typer.Context,
    job: JobArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files of images.")],
    trial: Annotated[
        int | None, typer.Option("--trial", "-t", min=0, help="By the model of this trial; otherwise of the best.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for images with drawn boxes. Default: beside each image.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show images to the model of a trial: a detector draws boxes, a classifier tells probabilities."""
    from tempfile import TemporaryDirectory

    from api.cli.client import path_of
    from api.cli.output import emit, say
    from searchsvc.service.exports.predict import predict as predictions

    with TemporaryDirectory() as folder:
        with session(ctx).client() as client:
            task = client.get(path_of(job))["spec"]["task"]
            model = client.download(path_of(job, "export"), Path(folder), format="weights", trial=trial)
        answered = predictions(task, model, images, out)
        if as_json:
            return emit([_document(one) for one in answered])
        for one in answered:
            say(*_lines(one))
    return None


def _document(one: Prediction) -> dict[str, Any]:
    findings = [{"label": found.label, "score": found.score, "box": found.box} for found in one.findings]
    return {"image": str(one.image), "picture": str(one.picture) if one.picture else None, "findings": findings}


def _lines(one: Prediction) -> Iterator[str]:
    """The image, where it was drawn, and the most certain of what was found."""
    yield f"{one.image}{f' -> {one.picture}' if one.picture else ''}"
    for found in one.findings[:_SHOWN]:
        box = f"  at {', '.join(f'{side:.0f}' for side in found.box)}" if found.box else ""
        yield f"  {found.label}  {found.score:.3f}{box}"
    if len(one.findings) > _SHOWN:
        yield f"  and {len(one.findings) - _SHOWN} more (--json has all)"
    if not one.findings:
        yield "  nothing"

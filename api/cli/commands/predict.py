"""searchctl predict: the predictions of a trial's model for images in files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from api.cli.client import path_of
from api.cli.options import AsJson, JobArgument
from api.cli.output import emit, say
from api.cli.session import session
from searchsvc.domain import ImagePrediction
from searchsvc.service.exports.predict import predict as predictions

_SHOWN = 5


def predict(
    ctx: typer.Context,
    job: JobArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    trial: Annotated[
        int | None, typer.Option("--trial", "-t", min=0, help="Trial whose model is used. Default: the best.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for images with drawn boxes. Default: the folder of each image."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a trial's model on images: a detector draws boxes, a classifier prints probabilities."""
    with TemporaryDirectory() as folder:
        with session(ctx).client() as client:
            task = client.get(path_of(job))["spec"]["task"]
            model = client.download(path_of(job, "export"), Path(folder), format="weights", trial=trial)
        results = predictions(task, model, images, out)
        if as_json:
            return emit([_document(prediction) for prediction in results])
        for prediction in results:
            say(*_lines(prediction))
    return None


def _document(prediction: ImagePrediction) -> dict[str, Any]:
    findings = [{"label": finding.label, "score": finding.score, "box": finding.box} for finding in prediction.findings]
    return {
        "image": str(prediction.image),
        "picture": str(prediction.picture) if prediction.picture else None,
        "findings": findings,
    }


def _lines(prediction: ImagePrediction) -> Iterator[str]:
    """Yield the image, the file with the drawn boxes, and the most certain predictions."""
    yield f"{prediction.image}{f' -> {prediction.picture}' if prediction.picture else ''}"
    for finding in prediction.findings[:_SHOWN]:
        box = f"  at {', '.join(f'{side:.0f}' for side in finding.box)}" if finding.box else ""
        yield f"  {finding.label}  {finding.score:.3f}{box}"
    if len(prediction.findings) > _SHOWN:
        yield f"  and {len(prediction.findings) - _SHOWN} more (--json has all)"
    if not prediction.findings:
        yield "  nothing"

"""Predictions of a trained model for image files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from searchsvc import tasks
from searchsvc.domain import ImagePrediction, PredictingTask
from searchsvc.errors import InvalidInput

_SUFFIX = ".boxes.png"


def predict(task: str, model: Path, images: Sequence[Path], folder: Path | None = None) -> Iterator[ImagePrediction]:
    """Yield the prediction of an exported model for each image. A task that draws also writes `NAME.boxes.png`.

    The files go to `folder`, or next to the images if it is None. Raises InvalidInput, and NotFound for the task.
    """
    predictor = tasks.find(task)
    if not isinstance(predictor, PredictingTask):
        raise InvalidInput.at("/task", f"models of the task {task} cannot predict on single images")
    if folder is not None and not predictor.draws:
        raise InvalidInput.at("/out", f"models of the task {task} draw nothing: leave it out")
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise InvalidInput.at("/images", f"there is no image {', '.join(map(str, missing))}")
    pictures = _pictures(images, folder) if predictor.draws else []
    try:
        yield from predictor.predict(model, images, pictures)
    except OSError as error:
        raise InvalidInput.at("/out", f"{error.filename} cannot be written: {error.strerror or error}") from error


def _pictures(images: Sequence[Path], folder: Path | None) -> list[Path]:
    """Return the files to write, which must differ."""
    paths = [(image.parent if folder is None else folder) / f"{image.stem}{_SUFFIX}" for image in images]
    if twice := [str(path) for path, count in Counter(paths).items() if count > 1]:
        raise InvalidInput.at("/images", f"several images would be drawn to {', '.join(twice)}")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return paths

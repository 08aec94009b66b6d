"""Predictions of a trained classifier for images in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from searchsvc.domain.task import Finding, ImagePrediction
from searchsvc.errors import InvalidInput
from workers.data.imagefiles import Decoder
from workers.models.trained import load


def predict(
    model: Path,
    images: Sequence[Path],
    pictures: Sequence[Path],  # noqa: ARG001 - nothing is drawn on images of one class
) -> Iterator[ImagePrediction]:
    """Yield the probability of every class for each image, the greatest first; see `PredictingTask.predict`.

    Images are decoded as those of a folder of images: resized to the size of the training images.
    """
    classifier = load(model)
    channels, height, width = classifier.card.shape
    if height != width:
        raise InvalidInput.at("", f"the model takes images of {width}x{height} px, and files become square ones")
    if channels not in (1, 3):
        raise InvalidInput.at("", f"the model takes images of {channels} channels, files have 1 or 3")
    decoder = Decoder(height, channels == 3)
    for image in images:
        [row] = classifier.probabilities(decoder.decode_all([image]).transpose(0, 2, 3, 1)).tolist()
        findings = [Finding(name, share) for name, share in zip(classifier.card.classes, row, strict=True)]
        yield ImagePrediction(image, tuple(sorted(findings, key=lambda one: -one.score)))

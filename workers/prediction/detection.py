"""Detections of a trained detector in images in files, and pictures of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from searchsvc.domain.task import Finding, ImagePrediction
from workers.data.detection.picturefiles import PictureFiles, fitted
from workers.data.imagefiles import upright_image
from workers.evaluation.drawing import drawn
from workers.models.heads.detections import Detections, in_px
from workers.models.trained_detector import TrainedDetector, load
from workers.training.detection.augment import plain
from workers.training.detection.sample import Scene


def predict(model: Path, images: Sequence[Path], pictures: Sequence[Path]) -> Iterator[ImagePrediction]:
    """Yield the detections in each image, in px of its file; see `PredictingTask.predict`.

    Images are decoded as those of a dataset in COCO's format, at the size that the model was trained with.
    """
    detector = load(model)
    files = PictureFiles(tuple(images), detector.card.shape[1])
    for position, (image, picture) in enumerate(zip(images, pictures, strict=True)):
        shown = upright_image(image, color=True)
        detections = in_px(*_detected(detector, files, position), (shown.height, shown.width))
        drawn(shown, detections, detector.card.classes).save(picture, "PNG")
        yield ImagePrediction(image, _findings(detections, detector.card.classes), picture)


def _detected(detector: TrainedDetector, files: PictureFiles, position: int) -> tuple[Detections, tuple[int, int]]:
    """Return detections in px of the square, and (height, width) of the part of the square that is not padding."""
    nothing = torch.zeros(0, 4).double().numpy(), torch.zeros(0, dtype=torch.int64).numpy()
    sample = Scene.of(files[position], *nothing)
    seen = fitted(*sample.size, detector.side)
    square = plain(sample, detector.side, detector.card.mean).image.as_subclass(torch.Tensor)
    [detections] = detector.detect(square[None], [seen])
    return detections, seen


def _findings(detections: Detections, classes: Sequence[str]) -> tuple[Finding, ...]:
    rows = zip(detections.labels.tolist(), detections.scores.tolist(), detections.boxes.xyxy.tolist(), strict=True)
    return tuple(Finding(classes[label], score, tuple(box)) for label, score, box in rows)

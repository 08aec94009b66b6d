"""Draws detections, or annotated boxes, on their image."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Image as PillowImage
from PIL.ImageDraw import ImageDraw as Pen

if TYPE_CHECKING:
    from workers.models.heads.detections import Detections

Color = tuple[int, int, int]
Corners = tuple[float, float, float, float]
_TURN = 0.618  # of the circle of hues between consecutive classes: neighbours differ, and few classes come close


def drawn(
    image: PillowImage, detections: Detections, classes: Sequence[str], least_score: float = 0.3, scale: int = 1
) -> PillowImage:
    """Return a colour copy, `scale` times as large, with box, class and score of each detection from `least_score` on.

    Boxes are in px of the image; the best are drawn last, over the others.
    """
    picture = _enlarged(image, scale)
    pen = ImageDraw.Draw(picture)
    boxes = (detections.boxes.xyxy * scale).tolist()
    rows = zip(boxes, detections.scores.tolist(), detections.labels.tolist(), strict=True)
    for box, score, label in sorted(rows, key=lambda row: row[1]):
        if score >= least_score:
            _draw(pen, box, f"{classes[label]} {score:.2f}", color_of(label), picture.size)
    return picture


def annotated(
    image: PillowImage, boxes: NDArray[np.float64], labels: Sequence[int], classes: Sequence[str], scale: int = 1
) -> PillowImage:
    """Return a colour copy, `scale` times as large, with each box (m, 4), in px of the image, and its class."""
    picture = _enlarged(image, scale)
    pen = ImageDraw.Draw(picture)
    for box, label in zip((boxes * scale).tolist(), labels, strict=True):
        _draw(pen, (box[0], box[1], box[2], box[3]), classes[label], color_of(label), picture.size)
    return picture


def color_of(label: int) -> Color:
    """Return the colour of a class, which does not depend on the image."""
    red, green, blue = colorsys.hsv_to_rgb(label * _TURN % 1.0, 0.85, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def _enlarged(image: PillowImage, scale: int) -> PillowImage:
    return image.convert("RGB").resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def _draw(pen: Pen, box: Corners, caption: str, color: Color, size: tuple[int, int]) -> None:
    """Draw a box, with its caption above it, or below its upper side if the image ends there."""
    thick = max(1, round(min(size) / 160))
    font = ImageFont.load_default(max(10, round(min(size) / 32)))
    pen.rectangle(box, outline=color, width=thick)
    width, height = (side + 2 for side in pen.textbbox((0, 0), caption, font=font)[2:])
    x = max(0.0, min(box[0], size[0] - width))
    y = box[1] - height if box[1] >= height else box[1]
    pen.rectangle((x, y, x + width, y + height), fill=color)
    luma = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]  # of ITU-R BT.601
    pen.text((x + 1, y + 1), caption, fill="black" if luma > 128 else "white", font=font)

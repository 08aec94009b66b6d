"""Boxes drawn on images."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from workers.evaluation.drawing import color_of, drawn
from workers.models.boxes import Boxes
from workers.models.heads.detections import Detections

CLASSES = ("ace", "jack", "a class with a long name")


def found(*rows: tuple[list[float], float, int]) -> Detections:
    boxes, scores, labels = (list(column) for column in zip(*rows, strict=True))
    return Detections(Boxes(torch.tensor(boxes)), torch.tensor(scores), torch.tensor(labels))


def colors(image: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3).tolist()}


def test_boxes_have_the_colour_of_their_class_and_a_caption() -> None:
    image = Image.new("RGB", (120, 100))
    picture = drawn(image, found(([20, 40, 80, 90], 0.9, 1)), CLASSES)
    assert picture.size == image.size
    edges = [picture.getpixel(point) for point in ((20, 70), (80, 70), (50, 40), (50, 90))]
    assert set(edges) == {color_of(1)}
    assert picture.getpixel((50, 70)) == (0, 0, 0)
    assert picture.getpixel((21, 30)) == color_of(1), "the caption lies above the box"
    assert colors(image) == {(0, 0, 0)}, "the image itself was drawn on"


def test_detections_below_the_least_score_are_left_out() -> None:
    rows = (([20.0, 40, 80, 90], 0.9, 1), ([5.0, 5, 15, 15], 0.2, 0))
    image = Image.new("RGB", (120, 100))
    assert color_of(0) not in colors(drawn(image, found(*rows), CLASSES))
    assert color_of(0) in colors(drawn(image, found(*rows), CLASSES, least_score=0.1))


def test_the_best_is_drawn_over_the_others() -> None:
    rows = (([20.0, 40, 80, 90], 0.9, 1), ([20.0, 40, 80, 90], 0.5, 0))
    picture = drawn(Image.new("RGB", (120, 100)), found(*rows), CLASSES)
    assert picture.getpixel((50, 90)) == color_of(1)


def test_captions_stay_in_the_image() -> None:
    corner = found(([100.0, 0, 119, 20], 0.9, 2))
    picture = np.asarray(drawn(Image.new("RGB", (120, 100)), corner, CLASSES))
    caption = (picture[2] == color_of(2)).all(-1)
    assert caption[:100].any(), "it begins left of its box, so that it ends within the image"


def test_a_grey_image_is_drawn_on_in_colour_and_larger() -> None:
    picture = drawn(Image.new("L", (40, 30)), found(([10.0, 10, 30, 25], 0.9, 0)), CLASSES, scale=3)
    assert picture.size == (120, 90)
    assert picture.getpixel((30, 60)) == color_of(0)


def test_classes_have_different_colours() -> None:
    assert len({color_of(label) for label in range(80)}) == 80

"""Small scenes in each format of boxes but COCO: twelve images of noise with cats and dogs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 60, 40
CLASSES = ("cat", "dog")
IMAGES = 12
Box = tuple[int, int, int, int]
CAT: Box = (4, 6, 14, 26)
DOG: Box = (20, 8, 32, 24)
"""x0, y0, x1, y1 of a cat in each image, and of a dog in every second, in px."""


def objects_of(image: int) -> list[tuple[str, Box]]:
    return [("cat", CAT), *([("dog", DOG)] if image % 2 else [])]


def _pictures(folder: Path) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for image in range(IMAGES):
        pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{image:02}.png")


def write_yolo(folder: Path) -> None:
    _pictures(folder / "images")
    (folder / "labels").mkdir()
    (folder / "data.yaml").write_text("names: [cat, dog]\n")
    for image in range(IMAGES):
        lines = []
        for label, (left, top, right, bottom) in objects_of(image):
            centre = (left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT
            sides = (right - left) / WIDTH, (bottom - top) / HEIGHT
            lines.append(" ".join(map(str, (CLASSES.index(label), *centre, *sides))))
        (folder / "labels" / f"{image:02}.txt").write_text("\n".join(lines))


def write_csv(folder: Path) -> None:
    _pictures(folder / "images")
    rows = ["filename,xmin,ymin,xmax,ymax,class"]
    for image in range(IMAGES):
        rows += [",".join(map(str, (f"{image:02}.png", *box, label))) for label, box in objects_of(image)]
    (folder / "boxes.csv").write_text("\n".join(rows))


def write_voc(folder: Path) -> None:
    """Write boxes as the devkit counts them: from pixel 1, to the last pixel."""
    _pictures(folder / "JPEGImages")
    (folder / "Annotations").mkdir()
    for image in range(IMAGES):
        objects = ""
        for label, (left, top, right, bottom) in objects_of(image):
            sides = f"<xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
            objects += f"<object><name>{label}</name><bndbox>{sides}</bndbox></object>"
        text = f"<annotation><filename>{image:02}.png</filename>{objects}</annotation>"
        (folder / "Annotations" / f"{image:02}.xml").write_text(text)


WRITERS: dict[str, Callable[[Path], None]] = {"yolo": write_yolo, "csv": write_csv, "voc": write_voc}
"""Functions that write a folder, by the name of the format."""

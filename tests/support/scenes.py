"""Small detection datasets: folders in COCO's format whose documents can be changed, and truths made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from workers.data.detection import Truth

Document = dict[str, Any]
SIZES = ((40, 60), (60, 40), (48, 48))
"""Height and width of every third image, in px."""


def document(images: int = 12) -> Document:
    """Return annotations: a cat in each image, a dog in every second; the ids of the categories have a gap."""
    content: Document = {
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        "images": [],
        "annotations": [],
    }
    for number in range(images):
        height, width = SIZES[number % 3]
        content["images"].append({"id": 100 + number, "file_name": f"{number}.png", "height": height, "width": width})
        add(content, number, [4, 6, 10, 20], 3)
        if number % 2:
            add(content, number, [20.5, 8, 12, 15.5], 7, area=90.0)
    return content


def add(content: Document, image: int, box: list[float], category: int, **more: Any) -> None:
    """Add an annotation to the image at a position."""
    identity = max((one["id"] for one in content["annotations"]), default=0) + 1
    of = {"id": identity, "image_id": 100 + image, "category_id": category}
    content["annotations"].append({**of, "bbox": box, "iscrowd": 0, **more})


def write(folder: Path, content: Document, name: str = "instances.json") -> None:
    """Write the annotations, and a picture of noise for each image that has no file yet."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for image in content["images"]:
        pixels = random.integers(0, 256, (image["height"], image["width"], 3), np.uint8)
        path = folder / "images" / image["file_name"]
        if not path.exists():
            Image.fromarray(pixels).save(path)
    (folder / name).write_text(json.dumps(content))


def section(folder: Path, **options: Any) -> dict[str, Any]:
    return {"name": "pets", "format": "coco", "path": str(folder), "size": 64, **options}


Change = Callable[[Document], object]


def truth(boxes: list[list[float]], labels: list[int], crowd: tuple[int, ...] = ()) -> Truth:
    """Return a truth with boxes x0, y0, x1, y1; `crowd`: positions of the boxes around many objects."""
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    crowds = np.isin(np.arange(len(corners)), crowd)
    return Truth(corners, np.array(labels, np.int64), crowds, (corners[:, 2:] - corners[:, :2]).prod(1))

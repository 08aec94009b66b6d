"""Annotations in COCO's format (cocodataset.org, "Data format"): checks them, and corrects or drops unusable boxes.

Counted over all files of a dataset, and part of its info:

| count | meaning |
|---|---|
| boxes | objects that are kept |
| crowd_regions | boxes around many objects: not trained on; detections in them never count as wrong |
| images_without_boxes | kept as images without objects |
| boxes_cut | reached beyond their image and were cut at its border |
| boxes_outside | lay beyond their image: dropped |
| boxes_degenerate | had no width or no height: dropped |
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from searchsvc.domain.spec import faults_of
from searchsvc.errors import Fault, InvalidInput
from searchsvc.files import UnsafeFile, open_confined
from workers.data.detection.dataset import Truth
from workers.data.imagefiles import Roots, printable

COUNTS = ("boxes", "crowd_regions", "images_without_boxes", "boxes_cut", "boxes_outside", "boxes_degenerate")
FAULTS_LISTED = 20
_ROUNDING = 0.05
"""Distance in px by which coordinates rounded to two decimals may exceed the border."""


class _Part(BaseModel):
    """Base of the parts of a file; keys that are not read are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _Category(_Part):
    id: int
    name: Annotated[str, Field(min_length=1, max_length=256)]


class _Image(_Part):
    id: int
    file_name: Annotated[str, Field(min_length=1, max_length=4096)]
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]


class _Annotation(_Part):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    """Left, top, width, height, in px."""
    area: float | None = None
    iscrowd: Literal[0, 1] = 0


class _Document(_Part):
    images: Annotated[list[_Image], Field(min_length=1)]
    annotations: list[_Annotation]
    categories: Annotated[list[_Category], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Instances:
    """The annotations of n images in a file."""

    classes: Mapping[int, str]
    """Names by the id of the category; ascending ids give the order of the classes."""
    files: tuple[str, ...]
    sizes: NDArray[np.int64]
    """(n, 2): height and width, in px."""
    truths: tuple[Truth, ...]
    counts: Counter[str]


def read(path: Path, pointer: str, classes: Mapping[int, str] | None = None, *, within: Roots = None) -> Instances:
    """Read the annotations of a file; `pointer`: the option that names it. Raises InvalidInput. See `parse`."""
    try:
        with open_confined(path, within) as file:
            document = json.load(file)
    except UnsafeFile as error:
        raise InvalidInput.at(pointer, f"{printable(path)} is not read: {error.strerror}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput.at(pointer, f"{path} cannot be read as a json file: {printable(error)}") from error
    try:
        return parse(document, classes)
    except InvalidInput as error:
        raise InvalidInput(Fault(pointer, f"{path}: {fault}") for fault in error.faults) from None


def parse(document: object, classes: Mapping[int, str] | None = None) -> Instances:
    """Check and convert annotations.

    `classes`: the classes of the training annotations, which all categories must match. None: the document's own.
    Raises InvalidInput, pointers into the document.
    """
    try:
        parsed = _Document.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(list(faults_of(error, document))[:FAULTS_LISTED]) from None
    own = {one.id: one.name for one in sorted(parsed.categories, key=lambda one: one.id)}
    faults = [*_duplicates(parsed), *_unknown(parsed, own), *_outside_folder(parsed)]
    if classes is not None:
        faults += _other_classes(parsed.categories, classes)
    if faults:
        raise InvalidInput(faults[:FAULTS_LISTED])
    agreed = own if classes is None else classes
    sizes = np.array([(one.height, one.width) for one in parsed.images], np.int64)
    truths, counts = _truths(parsed, sizes, agreed)
    return Instances(agreed, tuple(one.file_name for one in parsed.images), sizes, truths, counts)


# ---- checks ----------------------------------------------------------------------------------------------------------


def _duplicates(document: _Document) -> Iterator[Fault]:
    yield from _repeated("/categories/{}/id", (one.id for one in document.categories))
    yield from _repeated("/categories/{}/name", (one.name for one in document.categories))
    yield from _repeated("/images/{}/id", (one.id for one in document.images))
    yield from _repeated("/images/{}/file_name", (str(PurePosixPath(one.file_name)) for one in document.images))
    yield from _repeated("/annotations/{}/id", (one.id for one in document.annotations))


def _repeated(pointer: str, values: Iterable[int | str]) -> Iterator[Fault]:
    first: dict[int | str, int] = {}
    for position, value in enumerate(values):
        if first.setdefault(value, position) != position:
            place = pointer.format(first[value])
            yield Fault(pointer.format(position), f"{value!r} is already at {place}; each must occur only once")


def _unknown(document: _Document, classes: Mapping[int, str]) -> Iterator[Fault]:
    images = {image.id for image in document.images}
    for position, annotation in enumerate(document.annotations):
        if annotation.image_id not in images:
            yield Fault(f"/annotations/{position}/image_id", f"there is no image {annotation.image_id} under /images")
        if annotation.category_id not in classes:
            message = f"there is no category {annotation.category_id} under /categories"
            yield Fault(f"/annotations/{position}/category_id", message)


def _outside_folder(document: _Document) -> Iterator[Fault]:
    for position, image in enumerate(document.images):
        name = PurePosixPath(image.file_name)
        if name.is_absolute() or ".." in name.parts or "\0" in image.file_name:
            yield Fault(f"/images/{position}/file_name", "must be a path inside the folder of the images")


def _other_classes(categories: Iterable[_Category], classes: Mapping[int, str]) -> Iterator[Fault]:
    for position, category in enumerate(categories):
        if classes.get(category.id) != category.name:
            stated = f"is {classes[category.id]!r}" if category.id in classes else "does not exist"
            message = f"category {category.id} is {category.name!r} here, but {stated} in the annotations to train on"
            yield Fault(f"/categories/{position}", message)


# ---- conversion ------------------------------------------------------------------------------------------------------


def _truths(
    document: _Document, sizes: NDArray[np.int64], classes: Mapping[int, str]
) -> tuple[tuple[Truth, ...], Counter[str]]:
    position = {one.id: index for index, one in enumerate(document.images)}
    label = {identity: index for index, identity in enumerate(classes)}
    every = document.annotations
    image = np.array([position[one.image_id] for one in every], np.intp)  # (a,)
    labels = np.array([label[one.category_id] for one in every], np.int64)  # (a,)
    crowd = np.array([one.iscrowd for one in every], bool)  # (a,)
    boxes = np.array([one.bbox for one in every], np.float64).reshape(-1, 4)  # (a, 4)
    stated = np.array([one.area or 0.0 for one in every], np.float64)  # (a,), 0: not stated

    inside, fate = _inside(boxes, sizes[image])  # (a, 4), masks (a,)
    areas = (inside[:, 2:] - inside[:, :2]).prod(1)  # (a,)
    areas = np.where((stated > 0) & ~fate["boxes_cut"], stated, areas)  # a cut box loses its stated area
    order = np.argsort(image, kind="stable")  # (a,), by image
    # Without the dropped boxes: (a',).
    order = order[~(fate["boxes_degenerate"] | fate["boxes_outside"])[order]]
    ends = np.searchsorted(image[order], np.arange(len(sizes) + 1))  # (n + 1,)
    rows = [order[first:last] for first, last in pairwise(ends)]
    truths = tuple(Truth(inside[row], labels[row], crowd[row], areas[row]) for row in rows)

    counts = Counter(dict.fromkeys(COUNTS, 0))
    counts.update({name: int(which.sum()) for name, which in fate.items()})
    counts["crowd_regions"] = int(crowd[order].sum())
    counts["boxes"] = len(order) - counts["crowd_regions"]
    counts["images_without_boxes"] = sum(not truth.classes for truth in truths)
    return truths, counts


def _inside(
    boxes: NDArray[np.float64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.bool_]]]:
    """Convert boxes (a, 4) from left, top, width, height to x0, y0, x1, y1 within images (a, 2).

    Also return masks (a,) of the boxes that were cut, outside or degenerate.
    """
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)  # (a, 4): x0, y0, x1, y1
    limits = sizes[:, [1, 0, 1, 0]]  # (a, 4): width, height, width, height
    inside = np.clip(corners, 0, limits)
    degenerate = (boxes[:, 2:] <= 0).any(1)  # (a,)
    outside = ~degenerate & (inside[:, 2:] <= inside[:, :2]).any(1)  # (a,)
    cut = ~degenerate & ~outside & (np.abs(inside - corners) > _ROUNDING).any(1)  # (a,)
    return inside, {"boxes_degenerate": degenerate, "boxes_outside": outside, "boxes_cut": cut}


def document_of(
    classes: Iterable[str], sizes: NDArray[np.int64], boxes: Iterable[tuple[int, int, tuple[float, ...]]]
) -> dict[str, Any]:
    """Return a document in COCO's format. `boxes`: (position of the image, label, (left, top, width, height))."""
    return {
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes, 1)],
        "images": [
            {"id": number, "file_name": f"{number:06d}.png", "height": int(height), "width": int(width)}
            for number, (height, width) in enumerate(sizes, 1)
        ],
        "annotations": [
            {"id": number, "image_id": image + 1, "category_id": label + 1, "bbox": list(box), "iscrowd": 0}
            for number, (image, label, box) in enumerate(boxes, 1)
        ],
    }

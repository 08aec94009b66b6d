"""`digits-scenes`: scikit-learn's digits in several sizes and colours, overlapping, on textured backgrounds.

Everything follows from the options. Train, validation and test are separate scenes, and no handwritten digit is in two
of them. Boxes are the smallest around the drawn pixels of a digit, including pixels that another digit covers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from searchsvc.errors import InvalidInput
from workers.data.dataset import split_positions
from workers.data.detection import instances
from workers.data.detection.dataset import Decoded, RawScenes, Scenes
from workers.data.options import DatasetFormat, DatasetOptions

CLASSES = tuple("0123456789")
_MOST_PIXELS = 2**26
"""Limit over all scenes: a few seconds, and 200 MB."""
_SHADES = 16.0
_DRAWN = 0.25
"""Opacity above which a pixel belongs to the digit."""
_EMPTY, _MOST = 0.05, 6
"""Share of the scenes without a digit; the most digits that other scenes try to place."""
_SMALLEST, _LARGEST, _NARROWEST = 0.12, 0.5, 0.7
"""Height of a digit as a share of the scene's side; width as a share of the height."""
_TRIES, _OVERLAP = 8, 0.3
"""Places that are tried for a digit, and the share of the smaller of two boxes that may be covered."""
_OCTAVES = ((2, 70.0), (8, 40.0), (32, 25.0))
"""(cells along a side, range of values) of the noise that forms backgrounds, around the middle grey."""
_INK = 60
"""Largest distance of a digit's colour values from 0 or 255; backgrounds are between."""

Values = NDArray[np.float32]
Box = tuple[int, int, int, int]
"""Left, top, width, height in px."""


class DigitsScenesOptions(DatasetOptions):
    """Options of `digits-scenes`."""

    name: Literal["digits-scenes"]
    size: Annotated[int, Field(ge=64, le=512)] = 128
    """Side of a scene in px."""
    train: Annotated[int, Field(ge=50, le=20_000)] = 200
    validation: Annotated[int, Field(ge=20, le=20_000)] = 60
    test: Annotated[int, Field(ge=20, le=20_000)] = 60
    """Scenes of each split."""
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the scenes, and of the assignment of digits to splits."""


def _read(options: DigitsScenesOptions) -> RawScenes:
    from sklearn.datasets import load_digits

    _check_extent(options)
    digits = load_digits()
    own = split_positions(digits.target, validation=0.2, test=0.2, seed=options.split_seed)
    scenes: dict[str, Scenes] = {}
    counts: Counter[str] = Counter()
    for number, name in enumerate(("train", "validation", "test")):
        random = np.random.default_rng([options.split_seed, number])
        shades, labels = digits.images[own[name]], digits.target[own[name]]  # (n, 8, 8), (n,)
        images, document = generated(shades, labels, getattr(options, name), options.size, random)
        annotated = instances.parse(document)
        truths, counted = annotated.truths()
        scenes[name] = Scenes(Decoded(tuple(images)), annotated.stated, truths, annotated.files)
        counts.update(counted)
    return RawScenes(options.name, CLASSES, options.size, scenes["train"], scenes["validation"], scenes["test"], counts)


def _check_extent(options: DigitsScenesOptions) -> None:
    pixels = (options.train + options.validation + options.test) * options.size**2
    if pixels > _MOST_PIXELS:
        message = f"train, validation and test of this size have {pixels:,} px together; the limit is {_MOST_PIXELS:,}"
        raise InvalidInput.at("/size", message)


def generated(
    shades: NDArray[np.float64], labels: NDArray[np.int64], count: int, size: int, random: np.random.Generator
) -> tuple[NDArray[np.uint8], dict[str, object]]:
    """Return scenes (count, 3, size, size) and annotations in COCO's format, from digits (n, 8, 8) of 17 shades."""
    images = np.empty((count, 3, size, size), np.uint8)
    boxes = []
    for position in range(count):
        scene = _background(size, random)
        for which, box in _drawn(scene, shades, random):
            boxes.append((position, int(labels[which]), box))
        images[position] = scene.round()
    return images, instances.document_of(CLASSES, np.full((count, 2), size), boxes)


def _background(size: int, random: np.random.Generator) -> Values:
    """Return (3, size, size): noise of several scales, interpolated linearly."""
    scene = np.full((3, size, size), 127.5, np.float32)
    for cells, values in _OCTAVES:
        noise = random.random((3, cells, cells), np.float32) - 0.5  # (3, cells, cells), in [-0.5, 0.5)
        across = _linear(size, cells)  # (size, cells)
        scene += np.float32(values) * (across @ noise @ across.T)  # (3, size, size)
    return scene


def _linear(size: int, cells: int) -> Values:
    """Return (size, cells): weights of cells in the linear interpolation to `size` points."""
    points = (np.arange(size) + 0.5) * cells / size - 0.5  # (size,): positions among the cells' centres
    weights = 1.0 - np.abs(points.clip(0, cells - 1)[:, None] - np.arange(cells))  # (size, cells)
    return weights.clip(0).astype(np.float32)


def _drawn(scene: Values, shades: NDArray[np.float64], random: np.random.Generator) -> Iterator[tuple[int, Box]]:
    """Draw digits into a scene (3, size, size), and yield the index and the box of each."""
    size = scene.shape[1]
    if random.random() < _EMPTY:
        return
    taken: list[Box] = []
    for which in random.integers(len(shades), size=random.integers(1, _MOST + 1)).tolist():
        # Sizes are uniform on a logarithmic scale, ratios on a linear scale.
        height = size * math.exp(random.uniform(math.log(_SMALLEST), math.log(_LARGEST)))
        width = height * random.uniform(_NARROWEST, 1.0)
        opacity = _trimmed(_stretched(shades[which] / _SHADES, round(height), round(width)))  # (h, w)
        colour = np.where(random.random(3) < 0.5, 0, 255 - _INK) + _INK * random.random(3)  # (3,)
        box = _place(opacity.shape, size, taken, random)
        if box is not None:
            _paste(scene, opacity, colour.astype(np.float32), box)
            taken.append(box)
            yield which, box


def _stretched(digit: NDArray[np.float64], height: int, width: int) -> Values:
    """Resize (8, 8) to (height, width)."""
    rows, columns = digit.shape
    return _linear(height, rows) @ digit.astype(np.float32) @ _linear(width, columns).T


def _trimmed(opacity: Values) -> Values:
    """Return the smallest part that contains all drawn pixels."""
    drawn = opacity > _DRAWN  # (h, w)
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))  # indices
    return opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _place(shape: tuple[int, ...], size: int, taken: list[Box], random: np.random.Generator) -> Box | None:
    """Return the first of a few places that covers no other digit too far; None if all of them do."""
    height, width = shape
    # (tries,) each
    tops, lefts = random.integers(size - height + 1, size=_TRIES), random.integers(size - width + 1, size=_TRIES)
    for top, left in zip(tops.tolist(), lefts.tolist(), strict=True):
        box = (left, top, width, height)
        if all(_covered(box, other) <= _OVERLAP for other in taken):
            return box
    return None


def _covered(box: Box, other: Box) -> float:
    """Return the intersection of two boxes as a share of the smaller box."""
    across = min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0])  # px, negative if the boxes are apart
    down = min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])
    return max(0, across) * max(0, down) / min(box[2] * box[3], other[2] * other[3])


def _paste(scene: Values, opacity: Values, colour: Values, box: Box) -> None:
    left, top, width, height = box
    part = scene[:, top : top + height, left : left + width]  # (3, h, w), a view
    part += opacity * (colour[:, None, None] - part)  # blends towards the colour


DIGITS_SCENES = DatasetFormat(
    "scenes of overlapping digits on textures, 10 classes; made from digits of scikit-learn",
    DigitsScenesOptions,
    _read,
    lambda _: None,
    paths=(),
)

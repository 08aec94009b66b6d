"""Random changes of an image and its boxes beyond flip and scale: AutoAugment's policy, and RandAugment.

| policy | source |
|---|---|
| autoaugment | arXiv 1906.11172, policy v0 of its code: a pair of operations, each with its probability and level |
| randaugment | arXiv 1909.13719: two operations drawn uniformly, at magnitude 10 of 10; ranges as in classification |

The policy states distances in px for images with a side of 640 px; here they are shares of the side. A level or a
magnitude counts from 0 to 10; rotations, shears and translations have a random sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from torch import Tensor
from torchvision.transforms.v2 import functional as F  # noqa: N812 - the field's name for it

from workers.training.detection.sample import Fill, Scene
from workers.training.magnitudes import BITS, ENHANCEMENT, LAYERS, RADIANS, SHEAR, TRANSLATION

_LARGEST = 10.0
_SIDE = 640.0
_POLICY_TRANSLATION, _BOX_TRANSLATION, _CUTOUT = 250 / _SIDE, 120 / _SIDE, 100 / _SIDE
"""Shares of the side at level 10: translation of an image, translation of a box's content, half the side of a cutout.
"""
_BOX_CHANCE = 1 / 3
"""Operations inside boxes change each box with this share of their probability."""

Operation = Callable[[Scene, float, Fill], Scene]
"""(sample, strength from -1 to 1, fill) -> sample."""
_Step = Callable[[Scene, float, np.random.Generator, Fill], Scene]
"""(sample, level as a share of the largest, random, fill) -> sample."""
Policy = Callable[[Scene, np.random.Generator, Fill], Scene]


def _factor(strength: float) -> float:
    return 1.0 + ENHANCEMENT * strength


def _pixels(change: Callable[[Tensor, float], Tensor]) -> Operation:
    """Return an operation that leaves boxes in place."""
    return lambda sample, strength, _: sample.recoloured(change(sample.image, strength))


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "identity": lambda sample, _, __: sample,
        "shear_x": lambda sample, strength, fill: sample.sheared(SHEAR * strength, 0.0, fill),
        "shear_y": lambda sample, strength, fill: sample.sheared(0.0, SHEAR * strength, fill),
        "translate_x": lambda sample, strength, fill: sample.moved(TRANSLATION * strength, 0.0, fill),
        "translate_y": lambda sample, strength, fill: sample.moved(0.0, TRANSLATION * strength, fill),
        "rotate": lambda sample, strength, fill: sample.rotated(math.degrees(RADIANS) * strength, fill),
        "brightness": _pixels(lambda image, strength: F.adjust_brightness(image, _factor(strength))),
        "contrast": _pixels(lambda image, strength: F.adjust_contrast(image, _factor(strength))),
        "color": _pixels(lambda image, strength: F.adjust_saturation(image, _factor(strength))),
        "sharpness": _pixels(lambda image, strength: F.adjust_sharpness(image, _factor(strength))),
        "posterize": _pixels(lambda image, strength: F.posterize(image, 8 - round(BITS * abs(strength)))),
        "solarize": _pixels(lambda image, strength: F.solarize(image, 255.0 * (1.0 - abs(strength)))),
        "autocontrast": _pixels(lambda image, _: F.autocontrast(image)),
        "equalize": _pixels(lambda image, _: F.equalize(image)),
    }
)
"""Operations of RandAugment; the policy also uses them."""

PAIRS: tuple[tuple[tuple[str, float, int], ...], ...] = (
    (("translate_x", 0.6, 4), ("equalize", 0.8, 10)),
    (("translate_y_in_boxes", 0.2, 2), ("cutout", 0.8, 8)),
    (("sharpness", 0.0, 8), ("shear_x", 0.4, 0)),
    (("shear_y", 1.0, 2), ("translate_y_in_boxes", 0.6, 6)),
    (("rotate", 0.6, 10), ("color", 1.0, 6)),
)
"""(operation, probability, level) of the policy."""


def randaugment(sample: Scene, random: np.random.Generator, fill: Fill) -> Scene:
    """Apply two operations of the largest magnitude."""
    names = tuple(OPERATIONS)
    for which in random.integers(len(names), size=LAYERS).tolist():
        sample = OPERATIONS[names[which]](sample, _sign(random), fill)
    return sample


def autoaugment(sample: Scene, random: np.random.Generator, fill: Fill) -> Scene:
    """Apply a random pair of operations."""
    for name, chance, level in PAIRS[random.integers(len(PAIRS))]:
        share = level / _LARGEST
        if name == "translate_y_in_boxes":
            sample = translated_in_boxes(sample, _BOX_TRANSLATION * share, chance * _BOX_CHANCE, random, fill)
        elif random.random() < chance:
            sample = _STEPS[name](sample, share, random, fill)
    return sample


def translated_in_boxes(sample: Scene, share: float, chance: float, random: np.random.Generator, fill: Fill) -> Scene:
    """Move the content of each box, with probability `chance`, up or down by a share of the image's height."""
    image = sample.image.clone()
    shift = int(share * sample.size[0])
    for left, top, right, bottom in sample.boxes.round().clamp(min=0).int().tolist():
        up = random.random() < 0.5
        if random.random() < chance:
            content, part = (whole[:, top:bottom, left:right] for whole in (sample.image, image))
            rows = min(shift, content.shape[1])
            stays, goes = content.shape[1] - rows, slice(rows, None)
            part[:] = _pixel(image, fill)
            if up:
                part[:, :stays] = content[:, goes]
            else:
                part[:, goes] = content[:, :stays]
    return sample.recoloured(image)


def cut_out(sample: Scene, share: float, random: np.random.Generator, fill: Fill) -> Scene:
    """Fill a square around a random point; half its side is a share of the image's longer side. Boxes stay."""
    height, width = sample.size
    half = int(share * max(height, width))
    row, column = int(random.integers(height)), int(random.integers(width))
    image = sample.image.clone()
    square = image[:, max(0, row - half) : row + half, max(0, column - half) : column + half]
    square[:] = _pixel(image, fill)
    return sample.recoloured(image)


def _pixel(image: Tensor, fill: Fill) -> Tensor:
    """Return the fill colour, (3, 1, 1)."""
    return image.new_tensor([round(value) for value in fill])[:, None, None]


def _sign(random: np.random.Generator) -> float:
    return -1.0 if random.random() < 0.5 else 1.0


def _signed(name: str) -> _Step:
    return lambda sample, share, random, fill: OPERATIONS[name](sample, _sign(random) * share, fill)


def _enhanced(name: str) -> _Step:
    """Return a step whose factor runs from 0.1 at level 0 to 1.9 at level 10, as in the policy."""
    return lambda sample, share, _, fill: OPERATIONS[name](sample, 2.0 * share - 1.0, fill)


def _translated(sample: Scene, share: float, random: np.random.Generator, fill: Fill) -> Scene:
    return sample.moved(_sign(random) * _POLICY_TRANSLATION * share, 0.0, fill)


def _cut_out(sample: Scene, share: float, random: np.random.Generator, fill: Fill) -> Scene:
    return cut_out(sample, _CUTOUT * share, random, fill)


_STEPS: Mapping[str, _Step] = MappingProxyType(
    {
        "translate_x": _translated,
        "shear_x": _signed("shear_x"),
        "shear_y": _signed("shear_y"),
        "rotate": _signed("rotate"),
        "color": _enhanced("color"),
        "sharpness": _enhanced("sharpness"),
        "equalize": _signed("equalize"),
        "cutout": _cut_out,
    }
)

"""RandAugment on the device: each operation equals torchvision's, and draws follow from the generator alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from searchsvc.spaces.recipe import CLASSIFICATION
from workers.training.classification.augment import Augmentation
from workers.training.classification.randaugment import LARGEST_MAGNITUDE, OPERATIONS, augmented, randaugment
from workers.training.recipe import ClassifierRecipe

STRENGTHS = np.linspace(-1.0, 1.0, 12)


def images(channels: int, height: int, width: int) -> Tensor:
    """Return noise, and images for which rules differ: a single value, few values, values in a narrow range."""
    made = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (12, channels, height, width), dtype=np.uint8))
    made[3] = 7
    made[4] = made[4] // 3 + 20
    made[5, 0, :5] //= 2
    made[6] = (made[6] > 128) * 200
    return made


def affine(image: Tensor, *, shear: tuple[float, float] = (0, 0), move: tuple[int, int] = (0, 0)) -> Tensor:
    angles = [math.degrees(math.atan(slope)) for slope in shear]
    corner = [0, 0] if any(shear) else None
    result: Tensor = reference.affine(
        image, 0.0, list(move), 1.0, angles, interpolation=InterpolationMode.BILINEAR, center=corner
    )
    return result


REFERENCE: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "identity": lambda x, _: x,
    "shear_x": lambda x, s: affine(x, shear=(0.3 * s, 0)),
    "shear_y": lambda x, s: affine(x, shear=(0, 0.3 * s)),
    "translate_x": lambda x, s: affine(x, move=(int(150 / 331 * x.shape[2] * s), 0)),
    "translate_y": lambda x, s: affine(x, move=(0, int(150 / 331 * x.shape[1] * s))),
    "rotate": lambda x, s: reference.rotate(x, 30 * s, interpolation=InterpolationMode.BILINEAR),
    "brightness": lambda x, s: reference.adjust_brightness(x, 1 + 0.9 * s),
    "contrast": lambda x, s: reference.adjust_contrast(x, 1 + 0.9 * s),
    "posterize": lambda x, s: reference.posterize(x, 8 - round(4 * abs(s))),
    "solarize": lambda x, s: reference.solarize(x, 255 * (1 - abs(s))),
    "autocontrast": lambda x, _: reference.autocontrast(x),
    "equalize": lambda x, _: reference.equalize(x),
    "color": lambda x, s: reference.adjust_saturation(x, 1 + 0.9 * s),
    "sharpness": lambda x, s: reference.adjust_sharpness(x, 1 + 0.9 * s),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_that_of_torchvision(name: str, channels: int) -> None:
    """Allow a difference of one grey level, from rounding, in at most two values of a hundred."""
    batch = images(channels, 17, 24)
    got = augmented(batch, np.full(len(batch), OPERATIONS.index(name)), STRENGTHS)
    expected = torch.stack([REFERENCE[name](one, float(s)) for one, s in zip(batch, STRENGTHS, strict=True)])
    difference = (got.int() - expected.int()).abs()
    assert got.dtype is torch.uint8
    assert int(difference.max()) <= 1
    assert float((difference > 0).float().mean()) <= 0.02
    assert name in {"identity"} | ({"color"} if channels == 1 else set()) or not torch.equal(got, batch)


def test_a_batch_of_mixed_operations_is_each_image_by_its_own() -> None:
    batch = images(3, 16, 16)
    chosen = np.random.default_rng(1).permutation(len(OPERATIONS))[: len(batch)]
    together = augmented(batch, chosen, STRENGTHS)
    for index in range(len(batch)):
        alone = augmented(batch[index : index + 1], chosen[index : index + 1], STRENGTHS[index : index + 1])
        assert torch.equal(together[index], alone[0]), OPERATIONS[chosen[index]]


def test_the_same_generator_gives_the_same_images_and_another_others() -> None:
    batch = images(3, 16, 16)
    first, same, other = (randaugment(batch, 9.0, np.random.default_rng([0, epoch])) for epoch in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_a_magnitude_of_zero_leaves_what_needs_a_strength_as_it_is() -> None:
    batch = images(3, 16, 16).clamp(max=254)  # solarize turns all from its threshold on, at least pure white
    for name in set(OPERATIONS) - {"autocontrast", "equalize"}:
        unchanged = augmented(batch, np.full(len(batch), OPERATIONS.index(name)), np.zeros(len(batch)))
        assert torch.equal(unchanged, batch), name


@pytest.mark.parametrize("channels", [2, 4])
def test_images_of_any_number_of_channels_are_augmented(channels: int) -> None:
    changed = randaugment(images(channels, 8, 8), LARGEST_MAGNITUDE, np.random.default_rng(0))
    assert changed.shape == (12, channels, 8, 8)


def test_images_of_few_shades_are_augmented_as_if_their_lightest_were_white() -> None:
    dark = torch.from_numpy(np.random.default_rng(0).integers(0, 17, (64, 1, 8, 8), dtype=np.uint8))
    recipe = ClassifierRecipe.of({**CLASSIFICATION.defaults, "randaugment": 10.0})
    changed = Augmentation.of(recipe, peak=16)(dark, np.random.default_rng(3))
    expected = randaugment(dark * 15, 10.0, np.random.default_rng(3)) / 15
    assert torch.equal(changed, expected)
    assert float(changed.max()) <= 17.0
    assert float(changed.std()) > 3.0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_augments_as_the_cpu_does() -> None:
    batch = images(3, 32, 32)
    here = randaugment(batch, 9.0, np.random.default_rng(0))
    there = randaugment(batch.cuda(), 9.0, np.random.default_rng(0)).cpu()
    assert float((here != there).float().mean()) < 0.02

"""Augmentation of images and boxes: boxes follow their pixels, and are removed when too little of them is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from workers.training.detection import policies
from workers.training.detection.augment import DetectionAugmentation, plain
from workers.training.detection.policies import OPERATIONS
from workers.training.detection.sample import Scene
from workers.training.levels import LEVELS

BLACK = (0.0, 0.0, 0.0)
MOVING = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")


def sample(height: int, width: int, *boxes: list[int]) -> Scene:
    """Return a scene with white boxes x0, y0, x1, y1 on grey, labelled 0, 1, ..."""
    image = np.full((3, height, width), 60, np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[:, y0:y1, x0:x1] = 255
    return Scene.of(image, np.array(boxes, np.float64).reshape(-1, 4), np.arange(len(boxes)))


def corners(scene: Scene) -> list[list[float]]:
    rows: list[list[float]] = scene.boxes.as_subclass(Tensor).tolist()
    return rows


def seen(image: Tensor, least: int = 150) -> list[int]:
    """Return the smallest box around the bright pixels."""
    bright = image.as_subclass(Tensor)[0] > least
    rows, columns = bright.any(1).nonzero().flatten(), bright.any(0).nonzero().flatten()
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


# ---- fitting ---------------------------------------------------------------------------------------------------------


def test_an_image_is_fitted_in_its_ratio_and_padded() -> None:
    fitted = plain(sample(40, 80, [10, 5, 30, 25]), 160, (1.2, 2.0, 2.8))
    assert fitted.image.shape == (3, 160, 160)
    assert corners(fitted) == [[20, 10, 60, 50]]
    assert seen(fitted.image) == [20, 10, 60, 50]
    assert fitted.image[:, 80:].flatten(1).unique(dim=1).flatten().tolist() == [1, 2, 3]
    assert int(fitted.image[:, :80].min()) == 60


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    scene = sample(64, 64, [10, 5, 30, 25])
    augmented = DetectionAugmentation("none")(scene, 64, np.random.default_rng(0), BLACK)
    assert torch.equal(augmented.image, scene.image)
    assert corners(augmented) == corners(scene)


def test_flipping_mirrors_boxes() -> None:
    scene = sample(40, 64, [10, 5, 30, 25])
    boxes = {
        tuple(corners(DetectionAugmentation("none", flip=True)(scene, 64, np.random.default_rng(seed), BLACK))[0])
        for seed in range(20)
    }
    assert boxes == {(10, 5, 30, 25), (34, 5, 54, 25)}
    assert seen(scene.flipped().image) == [34, 5, 54, 25]


def test_without_flip_no_level_mirrors() -> None:
    """A bright left half and a dark right half stay in place."""
    image = np.full((3, 64, 64), 20, np.uint8)
    image[:, :, :32] = 220
    scene = Scene.of(image, np.zeros((0, 4)), np.zeros(0, np.int64))
    for seed in range(20):
        augmented = DetectionAugmentation("S1")(scene, 64, np.random.default_rng(seed), BLACK).image.float()
        assert augmented[:, :, :10].mean() > 100 > augmented[:, :, 50:].mean()


def test_colour_changes_pixels_and_no_box() -> None:
    scene = sample(64, 64, [10, 5, 30, 25])
    means = {
        float(
            DetectionAugmentation("none", color=0.5)(scene, 64, np.random.default_rng(seed), BLACK).image.float().mean()
        )
        for seed in range(10)
    }
    assert len(means) == 10
    coloured = DetectionAugmentation("none", color=0.5)(scene, 64, np.random.default_rng(0), BLACK)
    assert corners(coloured) == corners(scene)


# ---- boxes that go ---------------------------------------------------------------------------------------------------


def test_boxes_are_cut_at_the_border_and_dropped_beyond_it() -> None:
    scene = sample(60, 60, [10, 10, 30, 30], [50, 50, 60, 60], [0, 0, 10, 10], [22, 20, 24, 40])
    cropped = scene.cropped(8, 9, 40, 14).trimmed()  # what lies from (9, 8) to (23, 48)
    assert corners(cropped) == [[1, 2, 14, 22]]
    assert cropped.labels.tolist() == [0]


@pytest.mark.parametrize(("offset", "is_kept"), [(15, True), (17, False)])
def test_a_box_of_which_a_fifth_is_left_is_kept(offset: int, is_kept: bool) -> None:
    cropped = sample(40, 40, [0, 0, 20, 20]).cropped(0, offset, 40, 20).trimmed()
    assert len(corners(cropped)) == int(is_kept)


@pytest.mark.parametrize(("side", "count"), [(40, 1), (16, 0)])
def test_a_box_that_has_become_too_small_is_dropped(side: int, count: int) -> None:
    shrunk = DetectionAugmentation("none")(sample(80, 80, [10, 10, 14, 30]), side, np.random.default_rng(0), BLACK)
    assert len(corners(shrunk)) == len(shrunk.labels) == count


# ---- operations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [-1.0, -0.4, 0.4, 1.0])
@pytest.mark.parametrize("name", OPERATIONS)
def test_boxes_follow_their_pixels(name: str, strength: float) -> None:
    scene = sample(90, 120, [50, 40, 70, 52])
    changed = OPERATIONS[name](scene, strength, BLACK)
    if name in MOVING:
        assert corners(changed.trimmed())[0] == pytest.approx(seen(changed.image), abs=1.6)
        assert corners(changed) != corners(scene)
    else:
        assert corners(changed) == corners(scene)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"identity", "autocontrast", "equalize"}))
def test_operations_have_their_strength(name: str) -> None:
    random = np.random.default_rng(0)
    scene = Scene.of(random.integers(30, 200, (3, 32, 32), np.uint8), np.zeros((0, 4)), np.zeros(0, np.int64))
    images = [OPERATIONS[name](scene, strength, BLACK).image.float() for strength in (0.0, 0.5, 1.0)]
    small, large = ((image - images[0]).abs().mean() for image in images[1:])
    assert 0 < small < large or name in ("posterize", "solarize", *MOVING)
    assert large > 0


def test_what_an_operation_opens_is_filled() -> None:
    moved = OPERATIONS["translate_x"](sample(40, 40), 1.0, (9.0, 8.0, 7.0))
    assert moved.image[:, 20, 0].tolist() == [9, 8, 7]


def test_content_moves_within_its_box_alone() -> None:
    image = np.arange(60, dtype=np.uint8)[None, :, None].repeat(3, 0).repeat(50, 2)  # the row's number
    scene = Scene.of(image, np.array([[10.0, 20, 20, 40]]), np.zeros(1, np.int64))
    changed = policies.translated_in_boxes(scene, 0.1, 1.0, np.random.default_rng(0), (200.0, 200.0, 200.0))
    column = changed.image[0, 20:40, 15].tolist()
    up, down = [*range(26, 40), *[200] * 6], [*[200] * 6, *range(20, 34)]
    assert column in (up, down)
    outside = changed.image.clone()
    outside[:, 20:40, 10:20] = scene.image[:, 20:40, 10:20]
    assert torch.equal(outside, scene.image)
    assert corners(changed) == corners(scene)


def test_a_square_is_cut_out_and_boxes_stay() -> None:
    scene = sample(100, 100, [10, 10, 90, 90])
    changed = policies.cut_out(scene, 0.1, np.random.default_rng(0), BLACK)
    assert 100 <= int((changed.image[0] == 0).sum()) <= 400
    assert corners(changed) == corners(scene)


@pytest.mark.parametrize(
    ("name", "level"), sorted({(name, level) for pair in policies.PAIRS for name, _, level in pair})
)
def test_every_step_of_the_policy_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, level: int) -> None:
    monkeypatch.setattr(policies, "PAIRS", (((name, 3.0, level),),))  # each chance, that of a box too, is certain
    noise = np.random.default_rng(0).integers(20, 200, (3, 64, 64), np.uint8)
    scene = Scene.of(noise, np.array([[10.0, 10, 50, 50]]), np.zeros(1, np.int64))
    changed = policies.autoaugment(scene, np.random.default_rng(0), BLACK)
    assert torch.equal(changed.image, scene.image) == (level == 0)
    assert (corners(changed) == corners(scene)) == (level == 0 or name not in MOVING)


def test_the_policy_takes_each_step_with_its_chance() -> None:
    """One of five pairs rotates by 30 degrees, with a probability of 0.6."""
    scene = sample(64, 64, [20, 20, 44, 44])
    turned = 0
    for seed in range(400):
        x0, y0, x1, y1 = corners(policies.autoaugment(scene, np.random.default_rng(seed), BLACK))[0]
        turned += min(x1 - x0, y1 - y0) > 30
    assert turned / 400 == pytest.approx(0.12, abs=0.05)


# ---- levels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_gives_squares_with_boxes_inside(level: str) -> None:
    scene = sample(50, 70, [5, 5, 25, 20], [40, 10, 60, 45], [30, 30, 36, 44])
    before = scene.image.clone()
    augmentation = DetectionAugmentation(level, flip=True, color=0.2)
    for seed in range(40):
        augmented = augmentation(scene, 64, np.random.default_rng(seed), (10.0, 20.0, 30.0))
        boxes = augmented.boxes.as_subclass(Tensor)
        assert augmented.image.shape == (3, 64, 64)
        assert augmented.image.dtype == torch.uint8
        assert len(boxes) == len(augmented.labels)
        assert ((boxes >= 0) & (boxes <= 64)).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= 2).all()
    assert torch.equal(scene.image, before), "the dataset's own image was changed"


@pytest.mark.parametrize(("level", "low", "high"), [("none", 1.0, 1.0), ("S1", 0.8, 1.2)])
def test_scales_fill_their_range(level: str, low: float, high: float) -> None:
    scene = sample(100, 100, [40, 40, 60, 60])
    sides = []
    for seed in range(60):
        augmented = DetectionAugmentation(level)(scene, 100, np.random.default_rng(seed), BLACK)
        sides.append(corners(augmented)[0][2] - corners(augmented)[0][0])
    assert 20 * low - 0.2 <= min(sides) <= 20 * low + 0.6
    assert 20 * high - 0.6 <= max(sides) <= 20 * high + 0.2


def test_the_strong_levels_reach_half_and_double() -> None:
    for level in ("S3", "S4"):
        assert LEVELS[level].scales == (0.5, 2.0)
    assert LEVELS["S2"].policy == LEVELS["S3"].policy == "autoaugment"
    assert LEVELS["S4"].policy == "randaugment"


def test_the_same_draws_give_the_same_image() -> None:
    scene = sample(50, 70, [5, 5, 25, 20])
    first, again, other = (
        DetectionAugmentation("S4")(scene, 64, np.random.default_rng(seed), BLACK).image for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)

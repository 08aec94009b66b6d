"""Levels of augmentation of whole batches, and parts of the data that keep the steps of an epoch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms.autoaugment import AutoAugment, AutoAugmentPolicy

from searchsvc.spaces.recipe import CLASSIFICATION
from tests.support.detection import a_task, pets
from workers.data import classification as data
from workers.training import trial
from workers.training.classification import augment as augmentations
from workers.training.classification import autoaugment as autoaugmentation
from workers.training.classification.augment import Augmentation, jittered, shift
from workers.training.classification.autoaugment import POLICY, autoaugment
from workers.training.classification.randaugment import LARGEST_MAGNITUDE, OPERATIONS
from workers.training.levels import LEVELS
from workers.training.recipe import ClassifierRecipe
from workers.training.seeds import passes


def images(n: int = 16, channels: int = 3, side: int = 12) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, channels, side, side), np.uint8))


def augmentation(level: str, peak: int = 255, **values: Any) -> Augmentation:
    recipe = ClassifierRecipe.of({**CLASSIFICATION.defaults, "augmentation": level, **values})
    return Augmentation.of(recipe, peak)


# ---- scales ----------------------------------------------------------------------------------------------------------


def test_a_scale_of_one_changes_nothing() -> None:
    assert torch.equal(jittered(images(), (1.0, 1.0), np.random.default_rng(0)), images())


def test_a_smaller_image_is_whole_and_surrounded_by_black() -> None:
    white = torch.full((64, 1, 20, 20), 200, dtype=torch.uint8)
    small = jittered(white, (0.5, 0.5), np.random.default_rng(0)).float() / 200
    areas = small.sum((1, 2, 3))
    assert areas.numpy() == pytest.approx(np.full(64, 100.0), rel=0.05)
    lefts = (small[:, 0].amax(1) > 0.5).float().argmax(1)
    assert int(lefts.min()) <= 1
    assert int(lefts.max()) >= 9


def test_a_larger_image_fills_the_square_with_a_part_of_it() -> None:
    ramp = torch.arange(0, 200, 10, dtype=torch.uint8).expand(64, 1, 20, 20)
    large = jittered(ramp, (2.0, 2.0), np.random.default_rng(0)).float()
    slopes = (large[:, 0, 10, 15] - large[:, 0, 10, 5]) / 10
    assert slopes.numpy() == pytest.approx(np.full(64, 5.0), abs=0.3)
    middles = large[:, 0, 10, 10]
    assert float(middles.min()) < 60
    assert float(middles.max()) > 130


# ---- policies --------------------------------------------------------------------------------------------------------


def test_the_policy_is_that_of_torchvision() -> None:
    def named(name: str, chance: float, level: int | None) -> tuple[str, float, int]:
        words = "".join(f"_{one.lower()}" if one.isupper() else one for one in name).lstrip("_")
        return words.replace("auto_contrast", "autocontrast"), chance, level or 0

    theirs = AutoAugment(AutoAugmentPolicy.IMAGENET).policies
    assert tuple(tuple(named(*one) for one in pair) for pair in theirs) == POLICY


def test_operations_meet_images_as_often_as_the_policy_says(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[np.ndarray, np.ndarray]] = []

    def noted(images: torch.Tensor, chosen: np.ndarray, strengths: np.ndarray) -> torch.Tensor:
        drawn.append((chosen, strengths))
        return images

    monkeypatch.setattr(autoaugmentation, "augmented", noted)
    n = 20_000
    autoaugment(torch.zeros(n, 1, 1, 1), np.random.default_rng(0))
    for step, (chosen, strengths) in enumerate(drawn):
        expected = dict.fromkeys(OPERATIONS, 0.0)
        for pair in POLICY:
            name, chance, _ = pair[step]
            expected["solarize" if name == "invert" else name] += chance / len(POLICY)
            expected["identity"] += (1 - chance) / len(POLICY)
        shares = np.bincount(chosen, minlength=len(OPERATIONS)) / n
        assert shares == pytest.approx(list(expected.values()), abs=0.02)
        assert np.abs(strengths).max() == 1.0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("channels", "peak"), [(3, 255), (1, 16)])
def test_levels_keep_shape_and_range_and_follow_the_generator(level: str, channels: int, peak: int) -> None:
    originals = images(channels=channels) // (255 // peak)
    augment = augmentation(level, peak)
    first, again, other = (augment(originals, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == originals.shape
    assert float(first.min()) >= 0
    assert float(first.max()) <= 255 / (255 // peak)
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (level == "none")


def test_a_level_takes_the_place_of_shift_and_randaugment() -> None:
    alone, besides = augmentation("S4"), augmentation("S4", shift=0.2, randaugment=3.0)
    assert alone == besides
    assert augmentation("none", shift=0.2).shift == 0.2
    assert LEVELS["S4"].scales == LEVELS["S3"].scales == (0.5, 2.0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_changes_images_by_its_own_policy_alone(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[str, tuple[float, ...]]] = []
    for name in ("autoaugment", "randaugment"):

        def noted(images: torch.Tensor, *arguments: Any, name: str = name) -> torch.Tensor:
            used.append((name, arguments[:-1]))
            return images

        monkeypatch.setattr(augmentations, name, noted)
    augmentation(level)(images(), np.random.default_rng(0))
    expected = {"autoaugment": ("autoaugment", ()), "randaugment": ("randaugment", (LARGEST_MAGNITUDE,))}
    policy = LEVELS[level].policy
    assert used == ([] if policy is None else [expected[policy]])


def test_images_too_flat_to_move_down_still_move_sideways() -> None:
    ramp = torch.arange(0, 200, 10, dtype=torch.uint8).expand(40, 1, 2, 20)
    moved = shift(ramp, 0.2, np.random.default_rng(0))
    assert len({tuple(row) for row in moved[:, 0, 0].tolist()}) > 4
    assert torch.equal(shift(ramp[:, :, :, :2], 0.2, np.random.default_rng(0)), ramp[:, :, :, :2])


# ---- parts of the data -----------------------------------------------------------------------------------------------


def test_every_image_comes_once_before_any_comes_again() -> None:
    order = passes(np.random.default_rng(0), 7, 17)
    assert len(order) == 17
    assert sorted(order[:7] % 7) == sorted(order[7:14] % 7) == list(range(7))
    assert (order // 7).tolist() == [0] * 7 + [1] * 7 + [2] * 3
    assert np.array_equal(passes(np.random.default_rng(0), 7, 7), np.random.default_rng(0).permutation(7))


def test_the_share_of_the_recipe_is_one_of_what_the_fidelity_gives(make_task: Any) -> None:
    part = trial.data_share_of(make_task(values={"data_fraction": 0.5}, data_fraction=0.5))
    assert (part.share, part.of) == (0.25, 0.5)
    assert trial.data_share_of(make_task(data_fraction=1.0)).share == 1.0


def test_a_part_of_the_data_keeps_the_steps_of_an_epoch(make_task: Any, train: Any) -> None:
    """If a batch holds the whole part, the network sees a tenth of the images ten times as often."""
    whole = make_task("whole", {"batch_size": 32}, epochs=1, data_fraction=1.0)
    part = make_task("part", {"batch_size": 32, "data_fraction": 0.1}, epochs=1, data_fraction=1.0)
    few = make_task("few", {"batch_size": 32}, epochs=1, data_fraction=0.1)
    losses = {task.trial_id: train(task).metrics[0]["train_loss"] for task in (whole, part, few)}
    assert losses["part"] < losses["few"]
    dataset = data.load({"name": "digits"})
    small, large = dataset.subset(0.1), dataset.subset(0.3)
    assert {one.tobytes() for one in small.images} <= {one.tobytes() for one in large.images}  # type: ignore[union-attr]


def test_a_detector_sees_a_part_of_its_images_with_new_random_numbers_each_time(train: Any, tmp_path: Any) -> None:
    task = a_task(pets(tmp_path / "pets"), tmp_path / "trial", {"data_fraction": 0.5, "augmentation": "S1"})
    partial = train(task)
    assert partial.outcome.failure is None, partial.outcome.message
    whole = train(replace(task, directory=str(tmp_path / "whole"), values={**task.values, "data_fraction": 1.0}))
    assert partial.metrics[0]["train_loss"] != whole.metrics[0]["train_loss"]

"""Generated scenes: reproducible, with overlap, several sizes, and tight boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from searchsvc.errors import InvalidInput
from tests.support.work import calls
from workers.data.detection import DetectionDataset, digits_scenes, load
from workers.data.detection.digits_scenes import DIGITS_SCENES, DigitsScenesOptions
from workers.models.boxes import Boxes


@pytest.fixture(scope="module")
def scenes() -> DetectionDataset:
    return load({"name": "digits-scenes"})


def pixels(dataset: DetectionDataset) -> bytes:
    parts = (dataset.train, dataset.validation, dataset.test)
    return b"".join(part.pictures[position].tobytes() for part in parts for position in range(len(part)))


def test_the_defaults_are_small_squares_of_ten_classes(scenes: DetectionDataset) -> None:
    assert scenes.classes == tuple("0123456789")
    assert scenes.info.shape == (3, 128, 128)
    assert dict(scenes.info.sizes) == {"train": 200, "validation": 60, "test": 60}
    assert scenes.train.pictures[0].shape == (3, 128, 128)


def test_scenes_follow_from_their_options() -> None:
    options: dict[str, Any] = {"name": "digits-scenes", "train": 50, "validation": 20, "test": 20, "size": 64}
    first, again, other = (
        DIGITS_SCENES.read(DigitsScenesOptions(**options, split_seed=seed)).all for seed in (0, 0, 1)
    )
    assert np.array_equal(first.pictures[7], again.pictures[7])
    assert np.array_equal(first.truths[7].boxes, again.truths[7].boxes)
    assert not np.array_equal(first.pictures[7], other.pictures[7])


def test_splits_show_different_scenes(scenes: DetectionDataset) -> None:
    whole = pixels(scenes)
    size = 3 * 128 * 128
    assert len({whole[at : at + size] for at in range(0, len(whole), size)}) == 320


def test_there_are_small_and_larger_digits_overlaps_and_empty_scenes(scenes: DetectionDataset) -> None:
    truths = scenes.train.truths
    areas = np.concatenate([truth.areas for truth in truths])
    assert (areas < 32**2).mean() > 0.2
    assert (areas >= 32**2).mean() > 0.2
    overlapping = 0
    for truth in truths:
        boxes = Boxes(torch.from_numpy(truth.boxes))
        apart = boxes.pairwise_iou(boxes).fill_diagonal_(0.0)
        overlapping += bool((apart > 0.02).any())
        assert (apart < 0.3).all()
    assert overlapping > 20
    assert 1 <= sum(not len(truth.boxes) for truth in truths) <= 30


def test_every_class_is_in_every_split(scenes: DetectionDataset) -> None:
    for part in (scenes.train, scenes.validation, scenes.test):
        assert set().union(*(truth.classes for truth in part.truths)) == set(range(10))


def test_boxes_are_the_least_around_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits_scenes, "_OCTAVES", ())
    dataset = DIGITS_SCENES.read(DigitsScenesOptions(name="digits-scenes"))
    alone = [place for place, truth in enumerate(dataset.all.truths) if len(truth.boxes) == 1]
    assert len(alone) > 10
    for place in alone:
        drawn = (np.abs(dataset.all.pictures[place].astype(int) - 128) > 14).any(0)
        rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
        box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert dataset.all.truths[place].boxes.tolist() == [box]


def test_backgrounds_are_noise_around_middle_grey(scenes: DetectionDataset) -> None:
    places = [place for place, truth in enumerate(scenes.train.truths) if len(truth.boxes) <= 1]
    background = np.stack([scenes.train.pictures[place] for place in places]).astype(float)
    assert 110 < background.mean() < 145
    assert 10 < background.std() < 60
    assert np.abs(np.diff(background, axis=3)).mean() < background.std()  # smooth: neighbours are alike


def test_scenes_are_made_in_few_operations() -> None:
    DIGITS_SCENES.read(DigitsScenesOptions(name="digits-scenes"))  # imports what it needs
    with calls() as made:
        scenes = DIGITS_SCENES.read(DigitsScenesOptions(name="digits-scenes"))
    assert made.count < 1_000 * len(scenes.all.truths)


@pytest.mark.parametrize(
    ("options", "pointer"),
    [({"size": 32}, "/size"), ({"train": 0}, "/train"), ({"path": "/x"}, "/path"), ({"train": 20_000}, "/size")],
)
def test_options_out_of_range_are_pointed_at(options: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load({"name": "digits-scenes", **options})
    assert caught.value.faults[0].pointer == pointer


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="digits-scenes"):
        load({"name": "digits"})

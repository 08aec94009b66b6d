"""Batches of scenes: the same images from every process, boxes in px of the square."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from searchsvc.errors import InvalidInput
from tests.support.scenes import add, document, section, write
from workers.data.detection import DetectionDataset, load
from workers.training.detection.augment import DetectionAugmentation
from workers.training.detection.batches import DetectionBatch, SceneBatches

CPU = torch.device("cpu")
STRONG = DetectionAugmentation("S4", flip=True, color=0.3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    content = document(18)
    add(content, 0, [1, 1, 30, 30], 7, iscrowd=1)
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 102]
    write(tmp_path, content)
    return tmp_path


def batches(dataset: DetectionDataset, side: int = 48, processes: int = 0) -> SceneBatches:
    return SceneBatches.of(dataset.train, dataset, side=side, device=CPU, processes=processes)


def by_position(loaded: Iterable[DetectionBatch]) -> dict[int, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    return {
        position: tensors
        for batch in loaded
        for position, *tensors in zip(batch.positions, batch.images, batch.boxes, batch.labels, strict=True)
    }


def assert_same(actual: Iterable[DetectionBatch], expected: Iterable[DetectionBatch]) -> None:
    first, second = by_position(actual), by_position(expected)
    assert first.keys() == second.keys()
    for position in first:
        assert all(torch.equal(a, b) for a, b in zip(first[position], second[position], strict=True))


def test_batches_are_of_almost_equal_size_in_the_given_order(folder: Path) -> None:
    loaded = list(batches(load(section(folder))).augmented(np.array([5, 1, 4, 0, 2]), 2, STRONG, 0, 1))
    assert [batch.positions for batch in loaded] == [(5, 1, 4), (0, 2)]
    assert [tuple(batch.images.shape) for batch in loaded] == [(3, 3, 48, 48), (2, 3, 48, 48)]
    assert loaded[0].images.dtype == torch.uint8
    assert loaded[0].images.is_contiguous(memory_format=torch.channels_last)


def test_images_follow_from_seed_epoch_and_position_alone(folder: Path) -> None:
    split = batches(load(section(folder)))
    order = np.arange(len(split))
    assert_same(split.augmented(order, 3, STRONG, 7, 2), split.augmented(order[::-1], 5, STRONG, 7, 2))
    first, epoch, seed = (by_position(split.augmented(order, 3, STRONG, *given)) for given in ((7, 2), (7, 3), (8, 2)))
    assert not torch.equal(first[0][0], epoch[0][0])
    assert not torch.equal(first[0][0], seed[0][0])


def test_files_decoded_by_processes_give_the_same_batches(folder: Path) -> None:
    in_memory = batches(load(section(folder)))
    from_files = batches(load(section(folder, memory_bytes=0)), processes=2)
    assert (in_memory.processes, from_files.processes) == (0, 2)
    order = np.random.default_rng(0).permutation(len(in_memory))
    assert_same(in_memory.augmented(order, 3, STRONG, 0, 1), from_files.augmented(order, 3, STRONG, 0, 1))
    assert_same(in_memory.plain(2), from_files.plain(2))
    assert multiprocessing.active_children() == []


def test_plain_batches_have_every_image_fitted(folder: Path) -> None:
    dataset = load(section(folder))
    split = batches(dataset, side=96)
    loaded = list(split.plain(4))
    assert [position for batch in loaded for position in batch.positions] == list(range(len(split)))
    for batch in loaded:
        for position, size, boxes in zip(batch.positions, batch.sizes, batch.boxes, strict=True):
            height, width = dataset.train.sizes[position]
            assert size == {(40, 60): (64, 96), (60, 40): (96, 64), (48, 48): (96, 96)}[height, width]
            truth = dataset.train.truths[position]
            wanted = torch.from_numpy(truth.boxes[~truth.crowd]).float() * 96 / max(height, width)
            torch.testing.assert_close(boxes, wanted)


def test_crowds_are_not_among_the_boxes_and_empty_images_have_none(folder: Path) -> None:
    dataset = load(section(folder))
    every = {name: number for number, name in enumerate(dataset.train.names)}
    tensors = by_position(batches(dataset).plain(1))
    for name, boxes in (("0.png", 1), ("2.png", 0)):
        if name in every:
            assert tensors[every[name]][1].shape == (boxes, 4)
            assert tensors[every[name]][2].shape == (boxes,)
    assert {"0.png", "2.png"} & every.keys()


def test_what_surrounds_an_image_is_the_mean_colour(folder: Path) -> None:
    dataset = load(section(folder))
    position = next(place for place, size in enumerate(dataset.train.sizes.tolist()) if size == [40, 60])
    image = by_position(batches(dataset, side=60).plain(1))[position][0]
    assert image[:, 45, 10].tolist() == [round(value) for value in dataset.mean]


def test_a_file_that_is_cut_short_later_is_named(folder: Path) -> None:
    dataset = load(section(folder, memory_bytes=0))
    bad = folder / "images" / dataset.train.names[0]
    bad.write_bytes(bad.read_bytes()[:200])
    split = batches(dataset, processes=1)
    with pytest.raises(InvalidInput, match=str(bad)):
        list(split.augmented(np.arange(4), 2, STRONG, 0, 1))


def test_the_global_generator_is_left_alone(folder: Path) -> None:
    split = batches(load(section(folder)))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list(split.augmented(np.arange(4), 2, STRONG, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)


def test_fewer_images_than_batches_give_a_batch_each(folder: Path) -> None:
    dataset = load(section(folder))
    few = replace(dataset, train=dataset.train.take(np.arange(2)))
    assert [len(batch) for batch in batches(few).plain(5)] == [1, 1]

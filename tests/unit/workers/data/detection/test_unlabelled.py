"""Images without labels of detectors: those of annotations that are known, or all images of a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searchsvc.errors import InvalidInput
from tests.support.scenes import document, section, write
from workers.data import detection
from workers.data.detection import unlabelled


@pytest.fixture
def labelled(tmp_path: Path) -> detection.DetectionDataset:
    """Twelve annotated images of cats and dogs."""
    write(tmp_path / "labelled", document())
    return detection.load(section(tmp_path / "labelled"))


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """A folder with six annotated images, and one more image that the annotations do not name."""
    random = np.random.default_rng(7)
    content = document(6)
    (tmp_path / "others" / "images").mkdir(parents=True)
    for image in content["images"]:
        pixels = random.integers(0, 256, (image["height"], image["width"], 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "others" / "images" / image["file_name"])
    Image.fromarray(random.integers(0, 256, (30, 30, 3), np.uint8)).save(tmp_path / "others" / "images" / "more.png")
    (tmp_path / "others" / "instances.json").write_text(json.dumps(content))
    return tmp_path / "others"


def images_of(dataset: detection.DetectionDataset, **options: Any) -> unlabelled.UnlabelledScenes:
    return unlabelled._images(options, dataset)


def test_images_with_annotations_are_those_that_the_annotations_name(
    labelled: detection.DetectionDataset, others: Path
) -> None:
    for options in ({}, {"annotations": "instances.json"}):
        images = images_of(labelled, **section(others, **options))
        assert images.annotated
        assert sorted(images.scenes.names) == [f"{number}.png" for number in range(6)]
        assert [len(truth.labels) for truth in images.scenes.truths] == [1, 2] * 3


def test_a_folder_without_annotations_has_all_its_images(labelled: detection.DetectionDataset, others: Path) -> None:
    (others / "instances.json").unlink()
    images = images_of(labelled, **section(others))
    assert not images.annotated
    assert len(images.scenes.names) == 7
    assert [len(truth.labels) for truth in images.scenes.truths] == [0] * 7


def test_annotations_that_are_named_must_be_there(labelled: detection.DetectionDataset, others: Path) -> None:
    with pytest.raises(InvalidInput, match=r"other\.json"):
        images_of(labelled, **section(others, annotations="other.json"))

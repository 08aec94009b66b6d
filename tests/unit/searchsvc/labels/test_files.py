"""Label files: their permitted content, and the messages about faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchsvc.domain import ValidationSplit
from searchsvc.errors import InvalidInput
from searchsvc.labels import Predictions, label_sets, read_labels
from searchsvc.labels.files import write_labels

IMAGES = ValidationSplit(("cat/4.png", "dog/2.png"), np.array([4, 2]), np.array([0, 1]), ("cat", "dog"), 6)


def faults(document: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        label_sets(document, IMAGES)
    return [(one.pointer, one.message) for one in caught.value.faults]


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_list_counts_all_images_of_the_dataset(tmp_path: Path) -> None:
    document = read_labels(written(tmp_path, "labels.json", '[[], [], [1], [], ["cat", 1], []]'))
    assert label_sets(document, IMAGES).lists() == [[0, 1], [1]]


def test_a_table_names_images_and_classes(tmp_path: Path) -> None:
    document = read_labels(written(tmp_path, "labels.csv", "dog/2.png,dog,cat\ncat/4.png\nelsewhere.png,cat\n\n"))
    assert label_sets(document, IMAGES).lists() == [[], [0, 1]]


@pytest.mark.parametrize("name", ["labels.csv", "labels.json"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    document = {"a,b.png": ["cat", 'a "dog"'], "c.png": []}
    write_labels(document, tmp_path / name)
    assert read_labels(tmp_path / name) == document


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.txt", "no json", "neither named .csv nor json"),
        ("labels.json", "7", "must be a list with a list of classes per image"),
        ("labels.json", '{"a/b": 3}', "/a~1b: must be a list of classes"),
        ("labels.json", "[[1], [true]]", "/1: must be a list of classes"),
        ("labels.csv", "a,cat\na,dog\n", "the image 'a' twice, again in line 2"),
    ],
)
def test_what_is_no_label_file_is_said_so(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_labels(written(tmp_path, name, text))


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"absent.csv cannot be read: No such file"):
        read_labels(tmp_path / "absent.csv")


def test_faults_name_their_place() -> None:
    assert faults([[0]] * 5) == [("", "has 5 lists; the dataset has 6 images, and each needs one")]
    assert faults({"cat/4.png": ["cat"]}) == [("", "has no entry for 1 of 2 validation images: dog/2.png")]
    assert faults([[0], [0], [0, 2], [0], [-1], [0]]) == [
        ("/4/0", "no class -1: the dataset has 2, numbered from 0"),
        ("/2/1", "no class 2: the dataset has 2, numbered from 0"),
    ]
    assert faults({"cat/4.png": ["cow"], "dog/2.png": []}) == [("/cat~14.png/0", "no class 'cow'; there are cat, dog")]
    assert faults({"cat/4.png": [], "dog/2.png": []}) == [("", "the sets of all 2 validation images are empty")]


def test_predictions_are_kept_small_and_whole(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    classes = np.argsort(random.random((2000, 1000)), axis=1)[:, :16]
    shares = np.sort(random.random((2000, 16)))[:, ::-1].astype(np.float16)
    content = Predictions(classes, shares, classes[:, 1]).content()
    assert len(content) < 2000 * 70
    (tmp_path / "predictions.npz").write_bytes(content)
    read = Predictions.read(tmp_path / "predictions.npz")
    np.testing.assert_array_equal(read.classes, classes)
    np.testing.assert_array_equal(read.probabilities, shares)
    assert read.accuracy == 0
    assert read.content() == content


def test_a_damaged_file_of_predictions_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "predictions.npz").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(InvalidInput, match="no predictions that can be read"):
        Predictions.read(tmp_path / "predictions.npz")

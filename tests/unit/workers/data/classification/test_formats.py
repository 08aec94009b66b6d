"""Datasets for classification: reading, splitting, and refusals."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from searchsvc.errors import InvalidInput
from workers.data import classification as data
from workers.data.dataset import RawDataset, Split, split
from workers.tasks.classification import TASK


def arrays(**changes: Any) -> dict[str, Any]:
    """Return a correct npz of 60 images in 3 classes, with a test split; a change of None removes the array."""
    random = np.random.default_rng(0)
    content = {
        "x_train": random.integers(0, 256, (60, 8, 10), np.uint8),
        "y_train": np.arange(60) % 3,
        "x_test": random.integers(0, 256, (9, 8, 10), np.uint8),
        "y_test": np.arange(9) % 3,
    }
    return {name: array for name, array in {**content, **changes}.items() if array is not None}


@pytest.fixture
def npz(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that writes a file of arrays and returns its dataset section."""

    def write(**changes: Any) -> dict[str, Any]:
        np.savez(tmp_path / "data.npz", **arrays(**changes))
        return {"name": "files", "format": "npz", "path": str(tmp_path / "data.npz")}

    return write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight digits of each of three classes as class folders of png."""
    digits = load_digits()
    for name in ("zero", "one", "two"):
        (tmp_path / "images" / name).mkdir(parents=True)
    for label, name in enumerate(("zero", "one", "two")):
        for number, image in enumerate(digits.images[digits.target == label][:8]):
            Image.fromarray((image * 15).astype(np.uint8)).save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


def section(folder: Path, **options: Any) -> dict[str, Any]:
    return {"name": "mine", "format": "imagefolder", "path": str(folder), "size": 8, "color": False, **options}


def fault(dataset: dict[str, Any]) -> tuple[str, str]:
    """Return (pointer, message) of the first fault."""
    with pytest.raises(InvalidInput) as caught:
        data.load(dataset)
    return caught.value.faults[0].pointer, caught.value.faults[0].message


# ---- splits ----------------------------------------------------------------------------------------------------------


def test_digits_are_split_into_disjoint_stratified_parts_that_cover_them() -> None:
    digits = data.load({"name": "digits"})
    assert dict(digits.info.sizes) == {"train": 1151, "validation": 287, "test": 359}
    parts = (digits.train, digits.validation, digits.test)
    assert sum(map(len, parts)) == len(load_digits().target)
    for part in parts:
        shares = np.bincount(part.labels) / len(part)
        assert np.abs(shares - 0.1).max() < 0.01


def test_splits_share_no_image(npz: Callable[..., dict[str, Any]]) -> None:
    numbered = np.zeros((300, 8, 8), np.uint8)
    numbered[:, 0, 0], numbered[:, 0, 1] = np.arange(300) % 256, np.arange(300) // 256
    loaded = data.load(npz(x_train=numbered, y_train=np.arange(300) % 3, x_test=None, y_test=None))
    parts = (loaded.train, loaded.validation, loaded.test)
    seen = [{(int(image[0, 0, 0]), int(image[0, 0, 1])) for image in part.images} for part in parts]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 300


def test_the_split_is_the_same_every_time_and_another_with_another_seed() -> None:
    labels = np.arange(90) % 3
    raw = RawDataset("x", ("a", "b", "c"), Split(np.arange(90 * 16, dtype=np.uint8).reshape(90, 1, 4, 4), labels))
    first, again, other = (split(raw, validation=0.2, test=0.2, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.test.images, again.test.images)
    assert not np.array_equal(first.test.images, other.test.images)


def test_every_split_has_every_class_where_a_class_has_three_images() -> None:
    labels = np.array([0] * 3 + [1] * 200)
    raw = RawDataset("x", ("few", "many"), Split(np.zeros((203, 1, 4, 4), np.uint8), labels))
    parts = split(raw, validation=0.01, test=0.01, seed=0)
    assert [set(part.labels) for part in (parts.train, parts.validation, parts.test)] == [{0, 1}] * 3


def test_smaller_fractions_are_stratified_subsets_of_larger_ones() -> None:
    digits = data.load({"name": "digits"})
    smaller: set[bytes] = set()
    for fraction in (0.001, 0.1, 0.5, 0.9, 1.0):
        part = digits.subset(fraction)
        images = {image.tobytes() for image in part.images}
        assert smaller <= images
        assert abs(len(part) - fraction * len(digits.train)) <= 10
        assert set(part.labels) == set(range(10))
        smaller = images


def test_mean_and_deviation_are_those_of_the_train_split() -> None:
    digits = data.load({"name": "digits"})
    assert digits.mean == pytest.approx([digits.train.images.mean()])
    assert digits.std == pytest.approx([digits.train.images.std()])


# ---- npz -------------------------------------------------------------------------------------------------------------


def test_the_test_arrays_of_a_file_are_its_test_split(npz: Callable[..., dict[str, Any]]) -> None:
    loaded = data.load(npz())
    assert dict(loaded.info.sizes) == {"train": 48, "validation": 12, "test": 9}
    assert np.array_equal(loaded.test.images[:, 0], arrays()["x_test"])


def test_labels_need_not_count_from_zero(npz: Callable[..., dict[str, Any]]) -> None:
    loaded = data.load(npz(y_train=np.arange(60) % 3 * 5 - 2, y_test=np.arange(9) % 3 * 5 - 2))
    assert loaded.classes == ("-2", "3", "8")
    assert set(loaded.test.labels) == {0, 1, 2}


def test_mnist_is_read(shared: Path) -> None:
    mnist = data.load({"name": "mnist", "format": "npz", "path": str(shared / "data/classification/mnist.npz")})
    assert mnist.info.shape == (1, 28, 28)
    assert dict(mnist.info.sizes) == {"train": 48_000, "validation": 12_000, "test": 10_000}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, "no array x_train"),
        ({"y_train": None}, "no array y_train"),
        ({"y_test": None}, "no array y_test"),
        ({"x_train": np.zeros((60, 8, 10))}, "uint8"),
        ({"x_train": np.zeros((60, 8), np.uint8)}, r"\(n, h, w\)"),
        ({"x_train": np.zeros((60, 8, 8, 7), np.uint8)}, r"\(n, h, w\)"),
        ({"x_train": np.zeros((60, 2, 2), np.uint8)}, "2x2 px"),
        ({"x_train": np.zeros((0, 8, 10), np.uint8)}, "empty"),
        ({"x_train": np.zeros((59, 8, 10), np.uint8)}, "59 images but y_train 60 labels"),
        ({"y_train": np.full(60, 0.5)}, "whole numbers"),
        ({"y_train": np.zeros((60, 3), int)}, "not one-hot"),
        ({"y_train": np.zeros(60, int)}, "two or more"),
        ({"y_train": np.array([0] * 58 + [1] * 2)}, "at least 5 images .*1 has 2"),
        ({"x_test": np.zeros((9, 9, 10), np.uint8)}, "x_test"),
        ({"y_test": np.full(9, 4)}, "label 4 is in y_test"),
        ({"x_train": np.array([{"more than": "8 bytes each"}, *range(10**9, 10**9 + 59)], object)}, "allow_pickle"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_arrays_that_do_not_fit_are_named(npz: Callable[..., dict[str, Any]], changes: Any, message: str) -> None:
    dataset = npz(**changes)
    with pytest.raises(InvalidInput, match=message):
        data.load(dataset)


@pytest.mark.parametrize("size", [0, 100, 3000])
def test_a_file_that_ends_early_is_a_fault_of_its_path(npz: Callable[..., dict[str, Any]], size: int) -> None:
    dataset = npz()
    file = Path(dataset["path"])
    file.write_bytes(file.read_bytes()[:size])
    assert fault(dataset)[0] == "/path"


def test_a_file_whose_bytes_have_changed_is_a_fault_of_its_path(npz: Callable[..., dict[str, Any]]) -> None:
    dataset = npz()
    file = Path(dataset["path"])
    content = bytearray(file.read_bytes())
    content[2000] ^= 0xFF
    file.write_bytes(content)
    assert fault(dataset)[0] == "/path"


def test_an_array_that_claims_more_than_it_has_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 64, 64)})
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("x_train.npy", header.getvalue())
        archive.writestr("y_train.npy", header.getvalue())
    assert fault({"format": "npz", "name": "bomb", "path": str(tmp_path / "bomb.npz")})[0] == "/path"


def test_an_array_that_is_not_read_may_claim_any_size(npz: Callable[..., dict[str, Any]]) -> None:
    dataset, header = npz(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 64)})
    with zipfile.ZipFile(dataset["path"], "a") as archive:
        archive.writestr("notes.npy", header.getvalue())
    assert dict(data.load(dataset).info.sizes) == {"train": 48, "validation": 12, "test": 9}


def test_names_for_another_number_of_classes_are_a_fault(npz: Callable[..., dict[str, Any]]) -> None:
    assert fault({**npz(), "classes": ["a", "b"]})[0] == "/classes"


def test_a_file_is_read_once_until_it_changes(npz: Callable[..., dict[str, Any]]) -> None:
    dataset = npz()
    first = data.load(dataset)
    assert data.load(dict(dataset)) is first
    npz(x_train=np.zeros((60, 8, 10), np.uint8))
    os.utime(dataset["path"], ns=(1, 1))
    assert data.load(dataset) is not first


# ---- imagefolder -----------------------------------------------------------------------------------------------------


def test_class_folders_become_classes(folder: Path) -> None:
    loaded = data.load(section(folder))
    assert loaded.classes == ("one", "two", "zero")
    assert loaded.info.shape == (1, 8, 8)
    assert sum(loaded.info.sizes.values()) == 24


def test_images_are_resized_and_coloured(folder: Path) -> None:
    assert data.load(section(folder, size=12, color=True)).info.shape == (3, 12, 12)


def test_images_are_colour_unless_grey_is_chosen(folder: Path) -> None:
    chosen = section(folder)
    shapes = [
        data.load(document).info.shape
        for document in ({key: value for key, value in chosen.items() if key != "color"}, {**chosen, "color": False})
    ]
    assert [shape[0] for shape in shapes] == [3, 1]


def test_a_test_folder_is_the_test_split(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    folder.rename(tmp_path / "own" / "train")
    for name in ("zero", "one", "two"):
        (tmp_path / "own" / "test" / name).mkdir(parents=True)
        Image.new("L", (8, 8), 9).save(tmp_path / "own" / "test" / name / "a.png")
    loaded = data.load(section(tmp_path / "own"))
    assert loaded.info.sizes["test"] == 3
    assert loaded.info.sizes["train"] + loaded.info.sizes["validation"] == 24


def test_hidden_and_other_files_are_passed_over(folder: Path) -> None:
    (folder / ".hidden").mkdir()
    (folder / "one" / "notes.txt").write_text("no image")
    (folder / "one" / "._0.png").write_text("no image either")
    assert sum(data.load(section(folder)).info.sizes.values()) == 24


def test_classes_called_train_and_test_are_classes(folder: Path) -> None:
    (folder / "one").rename(folder / "train")
    (folder / "two").rename(folder / "test")
    assert data.load(section(folder, splits=False)).classes == ("test", "train", "zero")
    assert "splits: false" in fault(section(folder))[1]


def test_a_class_called_train_may_have_folders_of_its_own(folder: Path) -> None:
    (folder / "one").rename(folder / "train")
    (folder / "train" / "more").mkdir()
    (folder / "train" / "0.png").rename(folder / "train" / "more" / "0.png")
    loaded = data.load(section(folder, splits=False))
    assert loaded.classes == ("train", "two", "zero")
    assert "splits: false" in fault(section(folder))[1]
    assert sum(loaded.info.sizes.values()) == 24


def test_a_class_folder_whose_name_is_no_text_is_refused(folder: Path) -> None:
    os.rename(os.fsencode(folder / "one"), os.fsencode(folder) + b"/\xff\xfe")
    message = fault(section(folder))[1]
    assert "cannot be printed" in message
    assert message.isprintable()


@pytest.mark.parametrize("content", [b"", b"no image", None], ids=["empty", "text", "cut"])
def test_an_image_that_cannot_be_decoded_is_named(folder: Path, content: bytes | None) -> None:
    bad = folder / "two" / "3.png"
    bad.write_bytes(bad.read_bytes()[:70] if content is None else content)
    pointer, message = fault(section(folder))
    assert pointer == "/path"
    assert str(bad) in message


def test_a_class_folder_without_an_image_is_named(folder: Path) -> None:
    (folder / "three").mkdir()
    assert "three holds no image" in fault(section(folder))[1]


def test_a_class_with_too_few_images_is_named(folder: Path) -> None:
    for number in range(4, 8):
        (folder / "one" / f"{number}.png").unlink()
    assert "one has 4" in fault(section(folder))[1]


def test_a_folder_with_one_class_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "one")
    shutil.rmtree(folder / "two")
    assert "two or more" in fault(section(folder))[1]


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    assert "one per class" in fault(section(tmp_path))[1]


def test_a_test_class_that_train_lacks_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own" / "test" / "three").mkdir(parents=True)
    folder.rename(tmp_path / "own" / "train")
    assert "'three'" in fault(section(tmp_path / "own"))[1]


# ---- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "pointer"),
    [
        ({"name": "imagenet"}, "/name"),
        ({"name": "digits", "size": 9}, "/size"),
        ({"name": "x", "format": "tfrecord", "path": "/x"}, "/format"),
        ({"name": "x", "format": ["npz"], "path": "/x"}, "/format"),
        ({"name": "x", "format": "npz"}, "/path"),
        ({"name": "x", "format": "npz", "path": "/no/such/file.npz"}, "/path"),
        ({"name": "x", "format": "npz", "path": "/"}, "/path"),
        ({"name": "x", "format": "npz", "path": "a\0b"}, "/path"),
        ({"name": "x", "format": "imagefolder", "path": "/no/such/folder"}, "/path"),
        ({"name": "x", "format": "imagefolder", "path": "/", "size": 3}, "/size"),
        ({"name": "x", "format": "imagefolder", "path": "/", "size": "big"}, "/size"),
        ({"name": "x", "format": "npz", "path": "/x", "validation": 1.0}, "/validation"),
        ({"name": "x", "format": "npz", "path": "/x", "test": float("nan")}, "/test"),
        ({"name": "x", "format": "npz", "path": "/x", "split_seed": -1}, "/split_seed"),
    ],
)
def test_what_a_dataset_section_may_not_say_is_pointed_at(dataset: dict[str, Any], pointer: str) -> None:
    assert fault(dataset)[0] == pointer


def test_the_task_lists_every_dataset_and_inspects_them_all(npz: Callable[..., dict[str, Any]], folder: Path) -> None:
    assert [name for name, _ in TASK.datasets()] == ["digits", "imagefolder", "npz", "npy", "csv", "parquet"]
    sections = ({"name": "digits"}, section(folder), npz())
    assert [len(TASK.inspect(one, seed=0).classes) for one in sections] == [10, 3, 3]

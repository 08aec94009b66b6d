"""Image folders as people have them: a row per tree, with what is read of it, or the words of the refusal."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searchsvc.errors import InvalidInput
from workers.data import classification as data
from workers.tasks.classification import TASK


@dataclass(frozen=True)
class Row:
    """A tree of files, and the expected outcome."""

    name: str
    """Name of the tree, with the number of the finding if it has one."""
    files: tuple[str, ...]
    """Images; `folder/*N` stands for N images of distinct content; `=path` copies the image before."""
    classes: tuple[str, ...] = ("cat", "dog")
    sizes: tuple[int, int, int] | None = None
    """Images of train, validation and test."""
    notes: tuple[str, ...] = ()
    """Parts of notes, all of which must be there; none at all if empty."""
    refused: str = ""
    """Words of the refusal."""
    options: dict[str, Any] = field(default_factory=dict)
    change: Callable[[Path], None] | None = None


def both(folder: str, count: int = 6) -> tuple[str, ...]:
    return f"{folder}cat/*{count}", f"{folder}dog/*{count}"


def linked(root: Path) -> None:
    """Move the class folder cat away, and leave a link."""
    shutil.move(root / "cat", root.parent / "pool")
    (root / "cat").symlink_to(root.parent / "pool")


def linked_files(root: Path) -> None:
    (root.parent / "pool").mkdir()
    for path in sorted((root / "cat").iterdir()):
        shutil.move(path, root.parent / "pool" / path.name)
        path.symlink_to(root.parent / "pool" / path.name)


def loop(root: Path) -> None:
    (root / "cat" / "again").symlink_to(root)


def empty(*names: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for name in names:
            (root / name).mkdir(parents=True)

    return make


def text(*names: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("no image")

    return write


OWN = ("train/", "val/", "test/")
ROWS = [
    Row("class-folders", both("", 10), sizes=(12, 4, 4)),
    Row("U1-train-val", (*both("train/", 10), *both("val/", 3)), sizes=(16, 6, 4)),
    Row("U1-train-valid", (*both("train/", 10), *both("valid/", 3)), sizes=(16, 6, 4)),
    Row("U1-Train-Validation", (*both("Train/", 10), *both("Validation/", 3)), sizes=(16, 6, 4)),
    Row("U1-TRAINING-TESTING", (*both("TRAINING/", 10), *both("TESTING/", 3)), sizes=(16, 4, 6)),
    Row("U2-train-val-test", tuple(one for part in OWN for one in both(part)), sizes=(12, 12, 12)),
    Row("U2-training-valid-testing", (*both("training/"), *both("valid/", 2), *both("testing/", 1)), sizes=(12, 4, 2)),
    Row("train-only", both("train/", 10), sizes=(12, 4, 4)),
    Row("val-without-train", both("val/"), refused="no folder train"),
    Row("test-without-train", (*both("val/"), *both("test/")), refused="no folder train"),
    Row(
        "two-validation-splits", (*both("train/"), *both("val/"), *both("valid/")), refused="both called like the valid"
    ),
    Row("two-train-splits", (*both("train/"), *both("Train/")), refused="both called like the train split"),
    Row(
        "one-level-deeper", (*both("set/train/"), *both("set/val/")), sizes=(10, 12, 2), notes=("from the folder set",)
    ),
    Row(
        "imagenet-export",
        (*both("ILSVRC/Data/CLS-LOC/train/"), *both("ILSVRC/Data/CLS-LOC/val/")),
        sizes=(10, 12, 2),
        notes=("from the folder ILSVRC/Data/CLS-LOC", "synsets.txt"),
        change=text("ILSVRC/synsets.txt"),
    ),
    Row("classes-deeper", both("set/images/", 10), sizes=(12, 4, 4), notes=("from the folder set/images",)),
    Row("train-in-train", (*both("train/train/"), *both("val/val/")), sizes=(10, 12, 2)),
    Row(
        "unlabelled-test",
        (*both("train/", 10), "test/*4"),
        sizes=(12, 4, 4),
        notes=("class folders is not read: test",),
    ),
    Row("flat-val-of-imagenet", (*both("train/", 10), "val/*4"), sizes=(12, 4, 4), notes=("is not read: val",)),
    Row("split-folders-of-files", ("train/*9", "test/*3"), refused="csv"),
    Row("no-class-folders", ("*9",), refused="one per class.*csv"),
    Row("a-class-called-train", ("bus/*9", "train/*9"), ("bus", "train"), (12, 2, 4), ("read as a class",)),
    Row("a-class-called-test", (*both(""), "test/*6"), refused="`splits: false`"),
    Row(
        "classes-called-like-splits",
        ("val/*9", "test/*9"),
        ("test", "val"),
        (12, 2, 4),
        options={"splits": False},
    ),
    Row(
        "a-class-train-in-train",
        ("train/train/*6", "train/test/*6", "test/train/*3", "test/test/*3"),
        ("test", "train"),
        (8, 4, 6),
        options={"validation": 0.4, "min_images": 5},
    ),
    Row("beside-splits-unclear", (*both("train/"), "extra/*3"), refused="`splits: true` to read the splits only"),
    Row(
        "beside-splits",
        (*both("train/"), "extra/*3"),
        sizes=(8, 2, 2),
        notes=("not read: extra",),
        options={"splits": True},
    ),
    Row(
        "splits-below-classes",
        ("cat/train/*6", "cat/val/*3", "dog/train/*6", "dog/val/*3"),
        refused="cat holds folders",
    ),
    Row("splits-below-a-class", ("cat/test/*6", "dog/*6"), refused="`splits: false`"),
    Row("nested", ("cat/a/*3", "cat/b/c/*3", "dog/*6"), sizes=(8, 2, 2)),
    Row("loose-images", (*both("", 10), "*2"), sizes=(12, 4, 4), notes=("2 images lie beside the class folders",)),
    Row("loose-images-in-train", (*both("train/", 10), "train/*2"), sizes=(12, 4, 4), notes=("2 images lie beside",)),
    Row(
        "a-class-missing-in-val",
        (*both("train/", 9), "val/cat/*3"),
        sizes=(14, 3, 4),
        notes=("no image in validation: dog",),
    ),
    Row("a-class-only-in-val", (*both("train/"), *both("val/"), "val/emu/*3"), refused="class 'emu' is in .*val"),
    Row("another-case-in-val", (*both("train/"), "val/Cat/*3"), refused="class 'Cat' .* which has 'cat'"),
    Row("case", ("Cat/*9", "cat/*9"), ("Cat", "cat"), (12, 2, 4), ("differs only in case",)),
    Row("unicode", ("caf\u00e9/*9", "cafe\u0301/*9"), ("cafe\u0301", "caf\u00e9"), (12, 2, 4), ("form of Unicode",)),
    Row("an-empty-class", both(""), refused="class folder .*emu holds no image", change=empty("emu")),
    Row("an-empty-class-in-val", (*both("train/"), "val/cat/*3"), refused="val/dog holds no", change=empty("val/dog")),
    Row("too-few", ("cat/*9", "dog/*2"), refused="dog has 2"),
    Row("one-class", ("cat/*9",), refused="two or more"),
    Row(
        "U5-hidden-copies",
        (*both("", 10), "cat/.ipynb_checkpoints/*2", "__MACOSX/cat/*2", "@eaDir/*1"),
        sizes=(12, 4, 4),
        notes=("3 hidden or system entries are passed over",),
    ),
    Row(
        "other-files",
        both("", 10),
        sizes=(12, 4, 4),
        notes=("3 files are not images and are not read: README.md, cat/a.txt, labels.csv", "1 hidden"),
        change=text("README.md", "labels.csv", "cat/a.txt", ".DS_Store"),
    ),
    Row("U9-linked-class", both("", 10), sizes=(12, 4, 4), change=linked),
    Row("U9-linked-files", both("", 10), sizes=(12, 4, 4), change=linked_files),
    Row("U9-loop", both("", 10), sizes=(12, 4, 4), notes=("passed over: cat/again",), change=loop),
    Row(
        "U5-identical-in-two-splits",
        ("train/cat/*6", "=val/cat/copy.png", "train/dog/*6", "val/dog/*2"),
        sizes=(8, 3, 4),
        notes=("1 image of validation is also in train",),
        options={"test": 0.3},
    ),
    Row(
        "U5-identical-in-test",
        (*both("train/", 9), "=test/dog/copy.png", "test/cat/*1"),
        notes=("1 image of test is also in ",),
    ),
    Row("identical-in-two-classes", ("cat/*9", "=dog/copy.png", "dog/*9"), notes=("1 image is in two classes: ",)),
    Row(
        "copies-in-a-split",
        (*both("train/"), "=train/dog/x.png", "=train/dog/y.png", *both("val/"), *both("test/")),
        sizes=(14, 12, 12),
        notes=("2 images are copies of other images of train: ",),
    ),
    Row(
        "a-share-that-is-not-used",
        tuple(one for part in OWN for one in both(part)),
        sizes=(12, 12, 12),
        notes=("`validation` is not used",),
        options={"validation": 0.3},
    ),
]


def planted(root: Path, row: Row) -> Path:
    """Write the images of a row, each of its own content."""
    random, last = np.random.default_rng(0), root
    for name in row.files:
        folder, _, count = name.rpartition("*")
        if name.startswith("="):
            (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(last, root / name[1:])
            continue
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(int(count)):
            last = root / folder / f"{number}.png"
            Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(last)
    if row.change is not None:
        row.change(root)
    return root


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_tree_is_read_as_it_is_or_refused(tmp_path: Path, row: Row) -> None:
    root = planted(tmp_path / "data", row)
    section = {"name": "x", "format": "imagefolder", "path": str(root), "size": 8, "color": False, **row.options}
    if row.refused:
        with pytest.raises(InvalidInput, match=row.refused):
            data.load(section)
        return
    info = TASK.inspect(section, 0)
    assert info.classes == row.classes
    if row.sizes is not None:
        assert tuple(info.sizes.values()) == row.sizes
    for part in row.notes:
        assert any(part in sentence for sentence in info.notes), info.notes
    assert bool(info.notes) == bool(row.notes), info.notes


def test_a_service_follows_links_below_its_roots_only(tmp_path: Path) -> None:
    root = planted(tmp_path / "data", Row("", both("")))
    section = {"name": "x", "format": "imagefolder", "path": str(root), "size": 8, "within": [str(root)]}
    shutil.move(root / "cat", root / "dog" / "cats")
    (root / "cat").symlink_to("dog/cats")
    data.load(section)
    (root / "cat").unlink()
    shutil.move(root / "dog" / "cats", tmp_path / "cats")
    (root / "cat").symlink_to(tmp_path / "cats")
    with pytest.raises(InvalidInput, match="leads out of"):
        data.load(section)


def test_label_files_know_the_images_of_a_validation_split_of_its_own(tmp_path: Path) -> None:
    root = planted(tmp_path / "data", Row("", (*both("train/"), *both("val/", 3))))
    section = {"name": "x", "format": "imagefolder", "path": str(root), "size": 8}
    images = data.load(section).validation_images
    assert images.names == tuple(f"{name}/{number}.png" for name in ("cat", "dog") for number in range(3))
    assert images.numbers.tolist() == [0, 2, 4, 1, 3, 5], "by the names of the files"
    assert images.total == 6

"""Arrays as people save them: a row per file, with what is read of it, or the words of the refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchsvc.errors import InvalidInput
from workers.data import classification as data
from workers.tasks.classification import TASK

N = 30
GREY = np.random.default_rng(0).integers(0, 256, (N, 8, 10), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (N, 8, 10, 3), np.uint8)
LABELS = np.arange(N) % 3


def arrays(x: Any = GREY, y: Any = LABELS, **others: Any) -> dict[str, Any]:
    return {"x_train": x, "y_train": y, **others}


READ: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "usual": (arrays(), ("0", "1", "2"), ""),
    "U10-labels-n-1": (arrays(y=LABELS[:, None]), ("0", "1", "2"), ""),
    "labels-1-n": (arrays(y=LABELS[None]), ("0", "1", "2"), ""),
    "labels-one-hot": (arrays(y=np.eye(3)[LABELS]), ("0", "1", "2"), "1 array is one-hot: y_train"),
    "labels-float": (arrays(y=LABELS.astype("f4")), ("0", "1", "2"), "whole numbers as float32"),
    "labels-bool": (arrays(y=LABELS == 0), ("False", "True"), ""),
    "labels-text": (arrays(y=np.array(["cat", "dog", "emu"])[LABELS]), ("cat", "dog", "emu"), ""),
    "labels-bytes": (arrays(y=np.array([b"cat", b"dog", b"emu"])[LABELS]), ("cat", "dog", "emu"), ""),
    "labels-uint64": (arrays(y=LABELS.astype("u8")), ("0", "1", "2"), ""),
    "U10-channels-first": (arrays(COLOUR.transpose(0, 3, 1, 2)), ("0", "1", "2"), "read as (n, c, h, w): x_train"),
    "colour": (arrays(COLOUR), ("0", "1", "2"), ""),
    "one-channel-first": (arrays(GREY[:, None]), ("0", "1", "2"), "read as (n, c, h, w)"),
    "U10-float32-0-1": (arrays((GREY / 255).astype("f4")), ("0", "1", "2"), "float32 is read as 0 to 1, times 255"),
    "float16-0-1": (arrays((GREY / 255).astype("f2")), ("0", "1", "2"), "float16 is read as 0 to 1, times 255"),
    "U10-float64-0-255": (arrays(GREY.astype("f8")), ("0", "1", "2"), "float64 is read as whole numbers"),
    "int64": (arrays(GREY.astype("i8")), ("0", "1", "2"), "int64 is read as whole numbers"),
    "big-endian": (arrays(GREY.astype(">u2")), ("0", "1", "2"), "whole numbers"),
    "keras-names": ({"X_train": GREY, "Y_train": LABELS}, ("0", "1", "2"), ""),
    "medmnist-names": ({"train_images": GREY, "train_labels": LABELS[:, None]}, ("0", "1", "2"), ""),
    "names-without-split": ({"images": GREY, "labels": LABELS}, ("0", "1", "2"), ""),
    "other-arrays": (arrays(mean=np.zeros(3), ids=LABELS), ("0", "1", "2"), "2 arrays are not read: "),
}


@pytest.mark.parametrize("form", ["npz", "npy"])
@pytest.mark.parametrize("name", READ)
def test_arrays_are_read_exactly(tmp_path: Path, name: str, form: str) -> None:
    content, classes, said = READ[name]
    raw, info = read(tmp_path, form, content)
    expected = COLOUR.transpose(0, 3, 1, 2) if raw.all.images.shape[1] == 3 else GREY[:, None]
    assert raw.classes == classes
    np.testing.assert_array_equal(raw.all.images, expected)
    np.testing.assert_array_equal(raw.all.labels, (LABELS == 0) * 1 if len(classes) == 2 else LABELS)
    assert any(said in sentence for sentence in info.notes) if said else not info.notes, info.notes


def read(folder: Path, form: str, content: dict[str, Any], **options: Any) -> Any:
    """Write arrays in a form; return the dataset before its split, and what the task says about it."""
    if form == "npz":
        np.savez(folder / "data.npz", **content)
    for name, array in content.items():
        np.save(folder / f"{name}.npy", array)
    path = folder / "data.npz" if form == "npz" else folder
    section = {"name": "x", "format": form, "path": str(path), **options}
    return data.raw(section), TASK.inspect(section, 0)


@pytest.mark.parametrize(
    "names",
    [
        ("x_val", "y_val", "x_test", "y_test"),
        ("x_valid", "y_valid", "x_testing", "y_testing"),
        ("x_validation", "y_validation", "X_TEST", "Y_TEST"),
        ("val_images", "val_labels", "test_images", "test_labels"),
    ],
)
def test_splits_of_a_file_are_its_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    others = dict(zip(names, (GREY[:6] ^ 1, LABELS[:6], GREY[:9] ^ 2, LABELS[:9]), strict=True))
    raw, info = read(tmp_path, "npz", arrays(**others))
    assert dict(info.sizes) == {"train": 30, "validation": 6, "test": 9}
    np.testing.assert_array_equal(raw.validation.images, GREY[:6, None] ^ 1)
    assert info.notes == ()


def test_identical_images_in_two_splits_are_named(tmp_path: Path) -> None:
    others = {"x_val": GREY[:3], "y_val": LABELS[:3], "x_test": GREY[:6] ^ 1, "y_test": LABELS[:6]}
    _, info = read(tmp_path, "npz", arrays(**others))
    [sentence] = info.notes
    assert sentence.startswith("3 images of validation are also in train")
    assert sentence.endswith(": 0 (in train 0), 1 (in train 1), 2 (in train 2)"), "numbers in the file"


def test_folders_of_splits_may_hold_the_arrays(tmp_path: Path) -> None:
    for split, count in (("train", 30), ("valid", 6)):
        (tmp_path / split).mkdir()
        np.save(tmp_path / split / "images.npy", GREY[:count] ^ len(split))
        np.save(tmp_path / split / "labels.npy", LABELS[:count])
    info = TASK.inspect({"name": "x", "format": "npy", "path": str(tmp_path)}, 0)
    assert (info.sizes["train"] + info.sizes["test"], info.sizes["validation"]) == (30, 6)


HALF = np.full((N, 8, 8), 0.3)
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "float-0-1-not-of-255": (arrays(HALF), r"save np.round\(x_train \* 255\)"),
    "float-0-255-fractions": (arrays(HALF * 301), r"save np.round\(x_train\)"),
    "float-minus-1-to-1": (arrays(HALF * 2 - 1), r"\+ 1\) \* 127.5"),
    "standardised": (arrays((HALF - np.arange(8)) * 200.5), "before they were normalised|127.5|128"),
    "nan": (arrays(np.where(np.arange(8) > 6, np.nan, HALF)), "240 values that are NaN"),
    "int8": (arrays(GREY.astype("i1")), r"\+ 128"),
    "16-bit": (arrays(GREY.astype("u2") * 257), "/ 257"),
    "int64-large": (arrays(GREY.astype("i8") * 10**6), "before they were normalised"),
    "complex": (arrays(GREY.astype("c8")), "uint8"),
    "flat": (arrays(np.zeros((N, 784), np.uint8)), r"x_train.reshape\(-1, 28, 28\)"),
    "n-last": (arrays(COLOUR.transpose(1, 2, 3, 0)), r"moveaxis|from 1 to 4"),
    "both-orders": (arrays(np.zeros((N, 4, 8, 4), np.uint8)), "channels first or last"),
    "kinds-differ": (arrays(x_test=HALF, y_test=LABELS), "values of different kinds"),
    "scales-differ": (arrays(GREY / 255, x_test=GREY + 0.5, y_test=LABELS), "save np.round|before they were"),
    "soft-labels": (arrays(y=np.full((N, 3), 1 / 3)), "not one-hot"),
    "several-labels": (arrays(y=np.ones((N, 3), int)), "one class: save y_train.argmax"),
    "label-nan": (arrays(y=np.full(N, np.nan)), "whole numbers"),
    "label-fraction": (arrays(y=LABELS + 0.5), "whole numbers"),
    "two-of-a-kind": (arrays(x_val=GREY, y_val=LABELS, x_valid=GREY), "both called like x_val"),
    "x-and-x-train": ({**arrays(), "X": GREY}, "both called like x_train"),
    "val-without-labels": (arrays(x_val=GREY), "no array y_val"),
    "savez-without-names": ({"arr_0": GREY, "arr_1": LABELS}, "no array x_train"),
    "val-of-another-size": (arrays(x_val=GREY[:, :, :8], y_val=LABELS), "those of train"),
    "label-only-in-val": (arrays(x_val=GREY, y_val=LABELS + 1), "label 3 is in y_val"),
    "objects": (arrays(y=np.array(["cat", None] * 15, object)), r"astype\('U'\)"),
}


@pytest.mark.parametrize("form", ["npz", "npy"])
@pytest.mark.parametrize("name", REFUSED)
def test_other_arrays_are_refused_with_what_to_do(tmp_path: Path, name: str, form: str) -> None:
    content, words = REFUSED[name]
    with pytest.raises(InvalidInput, match=words):
        read(tmp_path, form, content)

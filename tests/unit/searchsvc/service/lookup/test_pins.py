"""Fingerprints of the files that a job learns from: equal for the same content, different after any change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from searchsvc.domain import JobSpec
from searchsvc.service.lookup.pins import differences, pins_of


def spec_of(dataset: dict[str, Any], **changes: Any) -> JobSpec:
    document = {
        "name": "pinned",
        "task": "classification",
        "dataset": dataset,
        "space": {"name": "mbconv-small"},
        "objectives": [{"metric": "accuracy"}],
        "algorithm": {"name": "random"},
        "budget": {"trials": 1},
    }
    return JobSpec.parse(document | changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def of_folder(folder: Path) -> JobSpec:
    return spec_of({"format": "imagefolder", "path": str(folder)})


def test_a_file_is_pinned_by_its_content_and_not_by_its_time(tmp_path: Path) -> None:
    file = tmp_path / "data.npz"
    file.write_bytes(b"one")
    spec = spec_of({"format": "npz", "path": str(file)})
    pins = pins_of(spec)
    os.utime(file, (1, 1))
    assert pins_of(spec) == pins
    file.write_bytes(b"two")
    assert differences(pins, pins_of(spec), spec) == [f"{file} (/dataset/path) has changed"]


@pytest.mark.parametrize("change", ["rewritten", "added", "removed", "renamed"])
def test_any_change_in_a_folder_is_noticed(folder: Path, change: str) -> None:
    spec = of_folder(folder)
    pins = pins_of(spec)
    image = folder / "cat" / "1.png"
    if change == "rewritten":
        image.write_bytes(b"CAT/1.PNG")  # as long as before
        os.utime(image, ns=(1, 1))
    elif change == "added":
        (folder / "dog" / "9.png").write_bytes(b"new")
    elif change == "removed":
        image.unlink()
    else:
        image.rename(folder / "dog" / "7.png")
    assert differences(pins, pins_of(spec), spec) == [f"{folder} (/dataset/path) has changed"]


def test_hidden_files_of_a_folder_do_not_count(folder: Path) -> None:
    spec = of_folder(folder)
    pins = pins_of(spec)
    (folder / ".DS_Store").write_bytes(b"?")
    assert differences(pins, pins_of(spec), spec) == []


def test_a_folder_that_links_to_itself_is_read_once(folder: Path) -> None:
    (folder / "cat" / "loop").symlink_to(folder)
    assert pins_of(of_folder(folder)) == pins_of(of_folder(folder))


def test_missing_data_are_a_difference(folder: Path) -> None:
    spec = of_folder(folder)
    pins = pins_of(spec)
    folder.rename(folder.with_name("elsewhere"))
    assert differences(pins, pins_of(spec), spec) == [f"{folder} (/dataset/path) is missing"]


def test_images_without_labels_and_label_sets_are_pinned_too(folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text("{}")
    spec = spec_of(
        {"name": "digits", "reassessed": str(labels)},
        self_training={"unlabelled": {"format": "images", "path": str(folder)}},
    )
    assert pins_of(spec).keys() == {"/dataset/reassessed", "/self_training/unlabelled/path"}


def test_a_dataset_without_files_has_no_pins_and_an_unknown_task_none_to_fail_on() -> None:
    assert pins_of(spec_of({"name": "digits"})) == {}
    assert pins_of(spec_of({"name": "nothing"}, task="no-such-task")) == {}

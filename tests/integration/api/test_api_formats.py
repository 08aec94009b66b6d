"""Datasets of each format below a data root: the plan shows what was found, and a link out of the root is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from searchsvc.settings import Settings
from tests.support.box_files import WRITERS

JOBS = "/api/v1/jobs"
NUMBERS = range(20)


@dataclass(frozen=True)
class Case:
    """A dataset, and what a plan says of it."""

    build: Callable[[Path], object]
    """Writes it into a folder."""
    section: dict[str, Any]
    link: str
    """The file that a link out of the root replaces."""
    sizes: tuple[int, int, int]
    """Images of train, validation and test."""
    note: str
    task: str = "detection"


def _table(folder: Path) -> None:
    (folder / "pics").mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = ["file,label,who"]
    for number in NUMBERS:
        Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(folder / "pics" / f"{number}.png")
        rows.append(f"pics/{number}.png,{'cat' if number % 2 else 'dog'},me")
    (folder / "labels.csv").write_text("\n".join(rows))


def _arrays(folder: Path) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    np.save(folder / "x_train.npy", random.integers(0, 256, (len(NUMBERS), 8, 8)).astype(np.float64))
    np.save(folder / "y_train.npy", np.arange(len(NUMBERS)) % 2)


def _boxes(name: str, link: str, note: str) -> Case:
    def build(folder: Path) -> None:
        WRITERS[name](folder)
        next(folder.rglob("03.png")).with_name("notes.md").write_text("by hand")

    return Case(build, {"format": name, "path": "pets", "size": 64}, link, (8, 2, 2), note)


OTHER = "1 file is not an image and is not read: "
TABLE = {"format": "csv", "path": "pets/labels.csv", "images": "pets", "size": 8, "color": False}
CASES = {
    "yolo": _boxes("yolo", "labels/03.txt", OTHER),
    "yolo, an image": _boxes("yolo", "images/03.png", OTHER),
    "yolo, the description": _boxes("yolo", "data.yaml", OTHER),
    "boxes as csv": _boxes("csv", "boxes.csv", OTHER),
    "boxes as csv, an image": _boxes("csv", "images/03.png", OTHER),
    "voc": _boxes("voc", "Annotations/03.xml", "coordinates count pixels from 1"),
    "voc, an image": _boxes("voc", "JPEGImages/03.png", "coordinates count pixels from 1"),
    "csv": Case(_table, TABLE, "labels.csv", (12, 4, 4), "1 column is not read: who", "classification"),
    "csv, an image": Case(_table, TABLE, "pics/3.png", (12, 4, 4), "1 column is not read: who", "classification"),
    "npy": Case(
        _arrays,
        {"format": "npy", "path": "pets"},
        "x_train.npy",
        (12, 4, 4),
        "float64 is read as whole numbers",
        "classification",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_plan_shows_sizes_and_notes_and_a_link_out_of_the_root_is_refused(
    client: TestClient, settings: Settings, spec: dict[str, Any], tmp_path: Path, case: Case
) -> None:
    folder = settings.data_roots[0] / "pets"
    case.build(folder)
    document = {**spec, "dataset": case.section}
    if case.task == "detection":
        objectives = [{"metric": "ap", "goal": "maximize"}]
        document |= {"task": "detection", "space": {"name": "detector-small"}, "objectives": objectives}
    answer = client.post(JOBS, json=document, params={"validate_only": "true"})
    assert answer.status_code == 200, answer.text
    found = answer.json()["dataset"]
    assert found["classes"] in (["cat", "dog"], ["0", "1"])
    assert tuple(found["sizes"].values()) == case.sizes
    assert any(case.note in sentence for sentence in found["notes"]), found["notes"]

    planted = folder / case.link
    (tmp_path / "outside").write_bytes(planted.read_bytes())
    planted.unlink()
    planted.symlink_to(tmp_path / "outside")
    answer = client.post(JOBS, json=document, params={"validate_only": "true"})
    assert answer.status_code == 422, answer.text
    errors = answer.json()["errors"]
    assert all(error["pointer"].startswith("/dataset") for error in errors), errors
    assert any(words in errors[0]["message"] for words in ("leads out of", "must lie under one of")), errors

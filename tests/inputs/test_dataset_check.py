"""`searchctl datasets check`: the section that is printed for files of each format, or the words of the refusal.

Every printed section is parsed as part of a spec and read.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from searchsvc import tasks
from searchsvc.domain.faults import parse_section
from searchsvc.domain.spec import FileDataset
from searchsvc.service.documents.documents import load_document

CLASSES = "cat", "dog"
LINE = "0 0.5 0.5 0.5 0.5\n"


@dataclass(frozen=True)
class Row:
    """Files, and what is printed for them."""

    id: str
    build: Callable[[Path], object]
    format: str
    task: str
    sizes: tuple[int, int, int]
    """Images of train, validation and test."""
    path: str = ""
    """The file or folder to check, below the folder."""
    options: dict[str, str] = field(default_factory=dict)
    """Options of the section beside name, format and path; paths are relative to the folder."""
    arguments: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


def pixels(seed: int, *shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed + len(str(path)), 40, 60, 3)).save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def pictures(folder: Path, count: int = 10, start: int = 0) -> None:
    for number in range(start, start + count):
        picture(folder / f"{number}.png", number)


def classes(*folders: str) -> Callable[[Path], None]:
    """Write class folders into each folder."""

    def build(root: Path) -> None:
        for place, folder in enumerate(folders):
            for label, name in enumerate(CLASSES):
                pictures(root / folder / name, 10, 100 * place + 10 * label)

    return build


def arrays(root: Path) -> dict[str, Any]:
    root.mkdir(parents=True, exist_ok=True)
    return {"x_train": pixels(0, 20, 8, 8), "y_train": np.arange(20) % 2}


def npz(root: Path) -> None:
    np.savez(root / "digits.npz", **arrays(root))


def parquet(*names: str) -> Callable[[Path], None]:
    """Write files as Hugging Face `datasets` does: encoded images, and labels with the names of the classes."""

    def build(root: Path) -> None:
        for place, name in enumerate(names):
            start = 100 * place
            rows = [{"bytes": encoded(start + number), "path": None} for number in range(20)]
            label = {"names": list(CLASSES), "_type": "ClassLabel"}
            features = json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": label}}})
            content = pa.table({"image": rows, "label": [number % 2 for number in range(20)]})
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            pa.parquet.write_table(content.replace_schema_metadata({"huggingface": features}), root / name)

    return build


def encoded(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(seed, 8, 8, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def npy(root: Path) -> None:
    for name, array in arrays(root).items():
        np.save(root / f"{name}.npy", array)


def table(
    name: str, columns: Sequence[str], folder: str = "", *, header: bool = True, delimiter: str = ","
) -> Callable[[Path], None]:
    """Write a table of 20 images in `folder`, with a cell per column."""

    def build(root: Path) -> None:
        pictures(root / folder, 20)
        cells = {"class": lambda number: CLASSES[number % 2], "label": lambda number: CLASSES[number % 2]}
        sides = {"xmin": 4, "ymin": 6, "xmax": 30, "ymax": 20, "width": 60, "height": 40, "note": 1}
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter)
        if header:
            writer.writerow(columns)
        for number in range(20):
            row = {"filename": f"{number}.png", **sides}
            writer.writerow([cells[column](number) if column in cells else row[column] for column in columns])
        text(root / name, out.getvalue())

    return build


BOXES = "filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"


def coco(name: str, images: str) -> Callable[[Path], None]:
    def build(root: Path) -> None:
        pictures(root / images)
        content = {
            "images": [{"id": n, "file_name": f"{n}.png", "width": 60, "height": 40} for n in range(10)],
            "annotations": [
                {"id": n + 1, "image_id": n, "category_id": 1, "bbox": [4, 6, 10, 20], "area": 200, "iscrowd": 0}
                for n in range(10)
            ],
            "categories": [{"id": 1, "name": "cat"}],
        }
        text(root / name, json.dumps(content))

    return build


def roboflow(root: Path) -> None:
    for place, split in enumerate(("train", "valid", "test")):
        coco("_annotations.coco.json", "")(root / split)
        pictures(root / split, 10, 50 * place)  # others in each split


def voc(folder: str, images: str) -> Callable[[Path], None]:
    def build(root: Path) -> None:
        pictures(root / images)
        for number in range(10):
            box = "<xmin>4</xmin><ymin>6</ymin><xmax>30</xmax><ymax>20</ymax>"
            text(
                root / folder / f"{number}.xml",
                f"<annotation><filename>{number}.png</filename><size><width>60</width><height>40</height>"
                f"<depth>3</depth></size><object><name>cat</name><bndbox>{box}</bndbox></object></annotation>",
            )

    return build


def yolo(root: Path) -> None:
    for place, split in enumerate(("train", "val")):
        pictures(root / "images" / split, 10, 20 * place)
        for number in range(20 * place, 20 * place + 10):
            text(root / "labels" / split / f"{number}.txt", LINE)
    text(root / "data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames: [cat]\n")


def darknet(root: Path) -> None:
    pictures(root)
    for number in range(10):
        text(root / f"{number}.txt", LINE)
    text(root / "classes.txt", "cat\n")


def both_tables(root: Path) -> None:
    table("labels.csv", ("filename", "label"))(root)
    table("boxes.csv", BOXES)(root)


CLASSIFIED, DETECTED = "classification", "detection"
ROWS = [
    Row("class-folders", classes(""), "imagefolder", CLASSIFIED, (12, 4, 4)),
    Row("splits", classes("train", "val"), "imagefolder", CLASSIFIED, (16, 20, 4)),
    Row("a-level-deeper", classes("pets/Training", "pets/Testing"), "imagefolder", CLASSIFIED, (16, 4, 20)),
    Row("npz", npz, "npz", CLASSIFIED, (12, 4, 4), "digits.npz"),
    Row("npz-in-a-folder", npz, "npz", CLASSIFIED, (12, 4, 4), options={"path": "digits.npz"}),
    Row("npy", npy, "npy", CLASSIFIED, (12, 4, 4)),
    Row("npy-an-array", npy, "npy", CLASSIFIED, (12, 4, 4), "x_train.npy", {"path": ""}),
    Row("parquet", parquet("train.parquet"), "parquet", CLASSIFIED, (12, 4, 4), "train.parquet"),
    Row(
        "parquet-shards-of-splits",
        parquet("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        "parquet",
        CLASSIFIED,
        (16, 4, 20),
    ),
    Row("csv", table("labels.csv", ("filename", "label")), "csv", CLASSIFIED, (12, 4, 4), "labels.csv"),
    Row(
        "csv-in-a-folder",
        table("labels.csv", ("filename", "label"), "images"),
        "csv",
        CLASSIFIED,
        (12, 4, 4),
        options={"path": "labels.csv", "images": "images"},
        also=("imagefolder (classification)",),
    ),
    Row(
        "csv-semicolons-without-header",
        table("labels.txt", ("filename", "label"), header=False, delimiter=";"),
        "csv",
        CLASSIFIED,
        (12, 4, 4),
        "labels.txt",
    ),
    Row(
        "csv-beside-class-folders",
        lambda root: (classes("")(root), table("labels.csv", ("filename", "label"), "all")(root)),
        "csv",
        CLASSIFIED,
        (12, 4, 4),
        options={"path": "labels.csv", "images": "all"},
        also=("imagefolder (classification)",),
    ),
    Row(
        "class-folders-beside-a-csv",
        lambda root: (classes("")(root), table("labels.csv", ("filename", "label"), ".all")(root)),
        "imagefolder",
        CLASSIFIED,
        (12, 4, 4),
        arguments=("--format", "imagefolder"),
        also=("csv (classification)",),
    ),
    Row("boxes-in-csv", table("boxes.csv", BOXES), "csv", DETECTED, (12, 4, 4), also=("csv (classification)",)),
    Row(
        "boxes-in-csv-the-file",
        table("boxes.csv", BOXES, "images"),
        "csv",
        DETECTED,
        (12, 4, 4),
        "boxes.csv",
        also=("csv (classification)",),
    ),
    Row(
        "boxes-in-csv-as-classes",
        table("boxes.csv", BOXES),
        "csv",
        CLASSIFIED,
        (12, 4, 4),
        "boxes.csv",
        arguments=("--task", "classification"),
    ),
    Row("coco", coco("instances.json", "images"), "coco", DETECTED, (6, 2, 2), also=("imagefolder (classification)",)),
    Row(
        "coco-a-file",
        coco("annotations/instances_default.json", "images"),
        "coco",
        DETECTED,
        (6, 2, 2),
        "annotations/instances_default.json",
        {"path": "", "annotations": "annotations/instances_default.json"},
    ),
    Row("voc", voc("Annotations", "JPEGImages"), "voc", DETECTED, (6, 2, 2), also=("imagefolder (classification)",)),
    Row("voc-beside-the-images", voc("", ""), "voc", DETECTED, (6, 2, 2)),
    Row("yolo", yolo, "yolo", DETECTED, (8, 10, 2), also=("imagefolder (classification)",)),
    Row("yolo-a-file", yolo, "yolo", DETECTED, (8, 10, 2), "data.yaml"),
    Row("yolo-beside-the-images", darknet, "yolo", DETECTED, (6, 2, 2)),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "pets"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_section_for_files_is_read(row: Row, tmp_path: Path, searchctl: Any) -> None:
    root = tmp_path / "pets"
    row.build(root)
    path = root / row.path if row.path else root
    printed = searchctl("datasets", "check", str(path), *row.arguments)
    section = load_document(printed.out[printed.out.index("dataset:") :])["dataset"]
    told = {key: value if key == "annotations" else str(root / value) for key, value in row.options.items()}
    expected = {"format": row.format, "path": str(path)} | told
    assert {key: value for key, value in section.items() if key != "name"} == expected
    info = tasks.find(row.task).inspect(parse_section(FileDataset, section).model_dump(mode="json"), 0)
    assert tuple(info.sizes.values()) == row.sizes
    assert ("also fits" in printed.out) == bool(row.also)
    for words in row.also:
        assert words in printed.out


def nothing(root: Path) -> None:
    root.mkdir()


def half(root: Path) -> None:
    classes("")(root)
    (root / "cat/0.png").write_bytes(b"%PDF-1.4")
    (root / "dog/11.png").write_bytes(b"")


REFUSED = [
    ("nothing", nothing, "", (), 2, ("looks like no format", "imagefolder (classification)", "yolo (detection)")),
    ("missing", nothing, "gone", (), 3, ("no file or folder",)),
    ("a-text", lambda root: text(root / "a.md", "# A"), "a.md", (), 2, ("looks like no format",)),
    ("loose-images", pictures, "", (), 2, ("looks like no format", "a folder per class")),
    ("another-format", classes(""), "", ("--format", "coco"), 2, ("looks like imagefolder (classification)",)),
    ("unknown-format", classes(""), "", ("--format", "tfrecord"), 2, ("no format 'tfrecord'", "imagefolder")),
    ("unknown-task", classes(""), "", ("--task", "poetry"), 3, ("no task 'poetry'", "classification")),
    ("all-faults", half, "", (), 2, ("cat/0.png", "PDF", "dog/11.png", "empty")),
    ("splits-without-train", classes("val", "test"), "", (), 2, ("no folder train",)),
    ("table-with-a-gap", lambda root: text(root / "t.csv", "file,label\na.png\n"), "t.csv", (), 2, ("line 2",)),
    ("broken-json", lambda root: text(root / "a.json", '{"images": ['), "a.json", (), 2, ("a.json",)),
    ("a-spec-without-data", lambda root: text(root / "a.yaml", "dataset: 3"), "a.yaml", (), 2, ("/dataset",)),
]


@pytest.mark.parametrize(
    ("build", "path", "arguments", "code", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_files_that_cannot_be_read_are_refused_in_words(
    build: Callable[[Path], object],
    path: str,
    arguments: tuple[str, ...],
    code: int,
    words: tuple[str, ...],
    tmp_path: Path,
    searchctl: Any,
) -> None:
    build(tmp_path / "pets")
    result = searchctl("datasets", "check", str(tmp_path / "pets" / path), *arguments)
    assert result.code == code
    assert "Traceback" not in result.err
    assert "digits" not in result.err
    for word in words:
        assert word in result.err


@pytest.mark.parametrize("name", ["a[b]c", "5e6", ":cat:", "it's \"a\" # pet", "[red]ä"])
def test_a_section_keeps_the_name_of_any_folder(name: str, root: Path, searchctl: Any) -> None:
    classes("")(root / name)
    printed = searchctl("datasets", "check", str(root / name)).out
    section = load_document(printed[printed.index("dataset:") :])["dataset"]
    assert section["path"] == str(root / name)
    assert parse_section(FileDataset, section).name == section["name"]


def test_copies_are_named_and_are_no_fault(root: Path, searchctl: Any) -> None:
    classes("train", "val")(root)
    shutil.copy(root / "train/cat/0.png", root / "val/dog/copy.png")
    printed = searchctl("datasets", "check", str(root)).out
    assert "1 image of validation is also in train" in printed
    assert "is in two classes" in printed


def test_copies_of_annotated_images_are_named(root: Path, searchctl: Any) -> None:
    yolo(root)
    shutil.copy(root / "images/train/0.png", root / "images/val/20.png")
    assert "1 image of validation is also in train" in searchctl("datasets", "check", str(root)).out


def test_the_document_counts_classes_sizes_and_modes(root: Path, searchctl: Any) -> None:
    classes("")(root)
    Image.fromarray(pixels(7, 30, 20)).save(root / "cat/0.png")
    document = json.loads(searchctl("datasets", "check", str(root), "--json").out)
    assert document["class_counts"] == {
        "train": {"cat": 6, "dog": 6},
        "validation": {"cat": 2, "dog": 2},
        "test": {"cat": 2, "dog": 2},
    }
    assert document["image_sizes"] == {"60x40": 19, "20x30": 1}
    assert document["image_modes"] == {"RGB": 19, "L": 1}
    assert document["dataset"] == {"name": root.name, "format": "imagefolder", "path": str(root)}


def test_boxes_are_counted_by_class(root: Path, searchctl: Any) -> None:
    yolo(root)
    document = json.loads(searchctl("datasets", "check", str(root), "--json").out)
    assert (document["counted"], document["task"]) == ("boxes", "detection")
    assert document["class_counts"] == {"train": {"cat": 8}, "validation": {"cat": 10}, "test": {"cat": 2}}
    assert document["image_modes"] == {"RGB": 20}


@pytest.mark.parametrize("build", [classes(""), npz, yolo], ids=["imagefolder", "npz", "yolo"])
def test_the_contact_sheet_is_a_picture(build: Callable[[Path], object], tmp_path: Path, searchctl: Any) -> None:
    build(tmp_path / "pets")
    sheet = tmp_path / "sheet.png"
    searchctl("datasets", "check", str(tmp_path / "pets"), "--sheet", str(sheet))
    with Image.open(sheet) as image:
        assert image.format == "PNG"
        assert len(image.convert("RGB").getcolors(2**24) or ()) > 100


@pytest.mark.parametrize("whole", [True, False], ids=["job", "section"])
def test_a_spec_is_checked_by_its_own_section(whole: bool, tmp_path: Path, searchctl: Any) -> None:
    table("boxes.csv", BOXES, "images")(tmp_path / "pets")
    section = {"name": "pets", "format": "csv", "path": str(tmp_path / "pets/boxes.csv")}
    text(tmp_path / "job.yaml", json.dumps({"task": "detection", "dataset": section} if whole else section))
    printed = searchctl("datasets", "check", str(tmp_path / "job.yaml")).out
    assert "csv, by the task detection" in printed


def test_a_dataset_that_ships_is_checked_by_name(tmp_path: Path, searchctl: Any) -> None:
    text(tmp_path / "job.yaml", "dataset: {name: digits}\n")
    printed = searchctl("datasets", "check", str(tmp_path / "job.yaml")).out
    assert "digits, by the task classification" in printed
    assert "8x8 (1,797)" in printed

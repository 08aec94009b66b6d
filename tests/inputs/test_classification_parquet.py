"""Parquet and Arrow files as people have them: a row per dataset, with what is read, or the words of the refusal."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from PIL import Image

from searchsvc.errors import InvalidInput
from workers.data import classification as data
from workers.tasks.classification import TASK

COUNT = 20
NUMBERS = [place % 2 for place in range(COUNT)]
NAMES = ["cat", "dog"]
PIXELS = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), np.uint8)
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
Plant = Callable[[Path], object]


def encoded(number: int, *, alpha: bool = False) -> bytes:
    buffer, image = io.BytesIO(), Image.fromarray(PIXELS[number])
    if alpha:
        image.putalpha(100)
    image.save(buffer, "PNG")
    return buffer.getvalue()


def images(start: int = 0, count: int = COUNT) -> pa.Array:
    return pa.array([{"bytes": encoded(start + place), "path": f"{place}.png"} for place in range(count)], IMAGE)


def features(label: Any = None, **others: Any) -> dict[str, Any]:
    return {"image": {"_type": "Image"}, "label": label or {"names": NAMES, "_type": "ClassLabel"}, **others}


def table(label: Any = None, names: Any = None, start: int = 0, **columns: Any) -> pa.Table:
    """A table as `datasets` writes it. `names`: the features of the metadata; None: of a ClassLabel; {}: none."""
    label = pa.array(NUMBERS, pa.int64()) if label is None else label
    count = len(label)
    columns = {"image": images(start, count), "label": label, **columns}
    content = pa.table({name: column for name, column in columns.items() if column is not None})
    stored = features() if names is None else names
    return content.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": stored}})} if stored else {}
    )


def parquet(content: pa.Table, name: str = "train-00000-of-00001.parquet", **options: Any) -> Plant:
    def plant(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pa.parquet.write_table(content, root / name, **options)

    return plant


def arrow(content: pa.Table, name: str, start: Any = pa.ipc.new_stream) -> Plant:
    def plant(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        with start(str(root / name), content.schema) as writer:
            writer.write_table(content, 7)

    return plant


def text(name: str, content: Any) -> Plant:
    def plant(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content if isinstance(content, str) else json.dumps(content))

    return plant


def changed(name: str, change: Callable[[bytes], bytes], before: Plant) -> Plant:
    def plant(root: Path) -> None:
        before(root)
        (root / name).write_bytes(change((root / name).read_bytes()))

    return plant


def part(split: str, start: int, count: int = 6, label: Any = None, **options: Any) -> Plant:
    """The only file of a split."""
    label = pa.array([place % 2 for place in range(count)], pa.int64()) if label is None else label
    return parquet(table(label, start=start, **options), f"{split}-00000-of-00001.parquet")


@dataclass(frozen=True)
class Row:
    """Files, and what is read of them: all images of train are those from number 0 on."""

    name: str
    files: tuple[Plant, ...]
    path: str = ""
    classes: tuple[str, ...] = ("cat", "dog")
    own: dict[str, int] = field(default_factory=dict)
    """Sizes of splits of the files, besides train."""
    notes: tuple[str, ...] = ()
    refused: str = ""
    options: dict[str, Any] = field(default_factory=dict)


TRAIN = part("train", 0, COUNT)
ONE = "train-00000-of-00001.parquet"
SAVED = (
    text("dataset_dict.json", {"splits": ["train", "test"]}),
    arrow(table(names={}), "train/data-00000-of-00001.arrow"),
    text("train/dataset_info.json", {"features": features()}),
    text("train/state.json", {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_indices_data_files": None}),
    arrow(table(pa.array([1, 0]), names={}, start=40), "test/data-00000-of-00001.arrow"),
    text("test/dataset_info.json", {"features": features()}),
    text("test/state.json", {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}),
)
NO_LABELS = pa.array([-1] * 6, pa.int64())
BINARY = pa.array([encoded(place) for place in range(COUNT)], pa.binary())
TRANSPARENT = encoded(0, alpha=True)
TEXTS = pa.array([NAMES[number] for number in NUMBERS])

READ = [
    Row("single-file", (TRAIN,), ONE),
    Row("single-file-of-any-name", (parquet(table(), "pets.pq.parquet"),), "pets.pq.parquet"),
    Row("single-file-in-a-folder", (parquet(table(), "pets.parquet"),)),
    Row("split-in-file-name", (TRAIN, part("test", 40), part("validation", 60)), own={"test": 6, "validation": 6}),
    Row(
        "folder-data-of-the-hub",
        (parquet(table(), "data/" + ONE), parquet(table(start=40), "data/valid-00000-of-00001.parquet")),
        own={"validation": COUNT},
    ),
    Row(
        "folders-of-splits",
        (parquet(table(), "train/0000.parquet"), parquet(table(start=40), "Test/0000.parquet")),
        own={"test": COUNT},
    ),
    Row(
        "shards-in-order",
        tuple(
            parquet(
                table(pa.array(NUMBERS[5 * shard : 5 * shard + 5]), start=5 * shard),
                f"train-0000{shard}-of-00004.parquet",
            )
            for shard in range(4)
        ),
    ),
    Row("row-groups", (parquet(table(), row_group_size=3),)),
    Row("compressed", (parquet(table(), compression="zstd"),)),
    Row("save-to-disk", SAVED, own={"test": 2}),
    Row("save-to-disk-single-dataset", SAVED[1:4], "train"),
    Row(
        "cache-file-beside-state",
        (*SAVED, arrow(table(), "train/cache-0123.arrow")),
        own={"test": 2},
        notes=("not listed in state.json",),
    ),
    Row(
        "arrow-of-the-cache",
        (arrow(table(), "pets-train.arrow"), arrow(table(start=40), "pets-test.arrow")),
        own={"test": 20},
    ),
    Row("arrow-file-format", (arrow(table(), "train.arrow", pa.ipc.new_file),)),
    Row("content-decides-the-kind", (arrow(table(), "train.parquet", pa.ipc.new_file),)),
    Row(
        "missing-shard", (parquet(table(), "train-00000-of-00003.parquet"),), notes=("2 of 3 files of the split train",)
    ),
    Row("unknown-split", (TRAIN, part("extra", 40)), notes=("1 file is of no known split and is not read: extra",)),
    Row("other-files", (TRAIN, text("README.md", "x"), text(".gitattributes", "x")), notes=("not read: README.md",)),
    Row("plain-binary", (parquet(table(image=BINARY, names={"label": features()["label"]})),)),
    Row("large-binary", (parquet(table(image=BINARY.cast(pa.large_binary()))),)),
    Row("struct-without-path", (parquet(table(image=pa.StructArray.from_arrays([BINARY], ["bytes"]))),)),
    Row("numbers-without-names", (parquet(table(names={})),), classes=("0", "1")),
    Row("small-integers", (parquet(table(pa.array(NUMBERS, pa.uint8()))),)),
    Row("one-and-minus-one", (parquet(table(pa.array([2 * one - 1 for one in NUMBERS]), {})),), classes=("-1", "1")),
    Row("strings", (parquet(table(TEXTS, {})),)),
    Row("categories-of-pandas", (parquet(table(TEXTS.dictionary_encode(), {})),)),
    Row("floats-of-pandas", (parquet(table(pa.array(NUMBERS, pa.float64()))),)),
    Row("true-and-false", (parquet(table(pa.array([one == 1 for one in NUMBERS]), {})),), classes=("False", "True")),
    Row(
        "label-by-usual-name",
        (
            parquet(
                table().rename_columns(["img", "Category"]),
            ),
        ),
        classes=("0", "1"),
    ),
    Row("other-columns", (parquet(table(id=pa.array(range(COUNT)))),), notes=("1 column is not read: id",)),
    Row(
        "chosen-columns",
        (parquet(table(mask=images(60), fine_label=pa.array(NUMBERS[::-1]))),),
        options={"image": "image", "label": "label"},
        notes=("2 columns are not read: mask, fine_label",),
    ),
    Row(
        "audio-beside", (parquet(table(names=features(sound={"_type": "Audio"}), sound=images(60))),), notes=("sound",)
    ),
    Row("column-with-a-dot", (parquet(table().rename_columns(["a.b", "label"])),), classes=("0", "1")),
    Row(
        "declared-class-without-images",
        (
            parquet(
                table(
                    names=features({"names": ["emu", "x", "dog"], "_type": "ClassLabel"}), label=pa.array([0, 2] * 10)
                )
            ),
        ),
        classes=("emu", "dog"),
        notes=("declared class has no image in train and is left out: x",),
    ),
    Row(
        "declared-order",
        (parquet(table(names=features({"names": ["dog", "cat"], "_type": "ClassLabel"}))),),
        classes=("dog", "cat"),
    ),
    Row(
        "test-without-labels",
        (TRAIN, part("test", 40, label=NO_LABELS)),
        notes=("test is not read, as its images have no",),
    ),
    Row("test-with-null-labels", (TRAIN, part("test", 40, label=pa.nulls(6))), notes=("test is not read",)),
    Row(
        "test-without-the-column",
        (TRAIN, parquet(table(start=40).drop_columns(["label"]), "test-00000-of-00001.parquet")),
        notes=("test is not read, as its images have no labels",),
    ),
    Row("test-without-rows", (TRAIN, part("test", 40, 0)), notes=("test is not read, as it has no rows",)),
    Row(
        "oddities",
        (parquet(table(image=pa.array([TRANSPARENT, *BINARY.to_pylist()[1:]], pa.binary()))),),
        notes=("1 image has transparency, which is dropped: train-00000-of-00001.parquet row 0",),
    ),
]


def section(root: Path, row: Row) -> dict[str, Any]:
    """Write the files of a row; return the section of the dataset."""
    for plant in row.files:
        plant(root)
    return {"name": "x", "format": "parquet", "path": str(root / row.path), "size": 8, **row.options}


@pytest.mark.parametrize("row", READ, ids=lambda row: row.name)
def test_tables_are_read_exactly(tmp_path: Path, row: Row) -> None:
    chosen = section(tmp_path, row)
    raw, info = data.raw(chosen), TASK.inspect(chosen, 0)
    assert raw.classes == row.classes
    np.testing.assert_array_equal(raw.all.images, PIXELS[:COUNT].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(raw.all.labels, NUMBERS)
    own = {"test": raw.test, "validation": raw.validation}
    assert {split: len(part) for split, part in own.items() if part is not None} == row.own
    for words in row.notes:
        assert any(words in sentence for sentence in info.notes), info.notes
    assert len(info.notes) == len(row.notes), info.notes


def with_label(place: int, value: Any, kind: Any = None) -> pa.Table:
    return table(pa.array([*NUMBERS[:place], value, *NUMBERS[place + 1 :]], kind))


def with_image(value: Any) -> pa.Table:
    return table(image=pa.array([*images().to_pylist()[:17], value, *images().to_pylist()[18:]], IMAGE))


def without_offsets(content: bytes) -> bytes:
    """Replace the offsets of an Arrow array of binary values by ones that lead out of it."""
    offsets = np.cumsum([0, *(len(encoded(place)) for place in range(7))]).astype(np.int32).tobytes()
    assert offsets in content
    return content.replace(offsets, offsets[:8] + b"\xff\xff\xff\x7f" + offsets[12:])


MULTI = pa.array([[number] for number in NUMBERS])
REFUSED = [
    Row("no-data", (text("a.txt", "x"),), refused="no file that ends in .parquet or .arrow"),
    Row("absent", (), "absent.parquet", refused="no file"),
    Row("no-train", (part("test", 40),), refused="no file of the split train beside test"),
    Row(
        "two-configurations",
        (parquet(table(), "a/" + ONE), parquet(table(), "b/" + ONE)),
        refused="not parts of one table",
    ),
    Row("two-forms", (TRAIN, arrow(table(), "train.arrow")), refused="not parts of one table"),
    Row(
        "two-subsets",
        (parquet(table(), "train-a.parquet"), parquet(table(), "train-b.parquet")),
        refused="not parts of",
    ),
    Row(
        "names-of-no-split", (parquet(table(), "a.parquet"), parquet(table(), "b.parquet")), refused="not parts of one"
    ),
    Row("two-splits-in-a-name", (parquet(table(), "train/test.parquet"),), refused="like the splits test and train"),
    Row(
        "two-image-columns", (parquet(table(names={}, mask=images(60))),), refused="images, image and mask: set `image`"
    ),
    Row("two-label-columns", (parquet(table(fine_label=TEXTS)),), refused="label and fine_label: set `label`"),
    Row(
        "no-label-column",
        (
            parquet(
                table().rename_columns(["image", "species"]),
            ),
        ),
        refused=r"species \(int64\): set `label`",
    ),
    Row("no-image-column", (parquet(table(image=None, x=TEXTS)),), refused="no column of encoded images"),
    Row("pixels-in-lists", (parquet(table(image=MULTI)),), refused="pixels in lists are not read"),
    Row("wrong-image-option", (TRAIN,), options={"image": "img"}, refused="no column img, but image"),
    Row("wrong-label-option", (TRAIN,), options={"label": "y"}, refused="no column y, but image"),
    Row(
        "image-option-of-text", (parquet(table(x=TEXTS)),), options={"image": "x"}, refused="x holds no encoded images"
    ),
    Row("label-option-of-image", (TRAIN,), options={"label": "image"}, refused="labels are whole numbers or names"),
    Row("several-labels", (parquet(table(MULTI, {})),), refused="label holds lists of labels; an image has one class"),
    Row("labels-of-dates", (parquet(table(pa.array(NUMBERS).cast(pa.timestamp("s")), {})),), refused="timestamp"),
    Row("null-label", (parquet(with_label(3, None)),), refused="parquet row 3 has no label"),
    Row("no-label-in-train", (parquet(with_label(3, -1)),), refused="parquet row 3 has no label"),
    Row("train-without-labels", (part("train", 0, label=NO_LABELS),), refused="no image of train.* has a label"),
    Row("label-beyond-names", (parquet(with_label(3, 2)),), refused="row 3 has the label 2; there are 2 names"),
    Row("label-below", (parquet(with_label(3, -2)),), refused="row 3 has the label -2"),
    Row("label-of-a-fraction", (parquet(with_label(3, 0.5, pa.float64())),), refused="row 3 has the label 0.5"),
    Row(
        "empty-label",
        (parquet(table(pa.array(["", *TEXTS.to_pylist()[1:]]), {})),),
        refused="row 0 has the label '', wh",
    ),
    Row(
        "label-only-in-test",
        (parquet(table(names={})), part("test", 40, label=pa.array([7] * 6), names={})),
        refused="test-.* row 0: class '7' of test is not in train",
    ),
    Row(
        "other-names-in-test",
        (TRAIN, part("test", 40, names=features({"names": ["dog", "cat"], "_type": "ClassLabel"}))),
        refused="other names of classes",
    ),
    Row(
        "names-twice",
        (parquet(table(names=features({"names": ["a", "a"], "_type": "ClassLabel"}))),),
        refused="class 'a' twice",
    ),
    Row(
        "names-no-texts",
        (parquet(table(names=features({"names": [1, 2], "_type": "ClassLabel"}))),),
        refused="no list of texts",
    ),
    Row("null-image", (parquet(with_image(None)),), refused="parquet row 17 has no image"),
    Row(
        "only-a-path",
        (parquet(with_image({"bytes": None, "path": "/etc/passwd"})),),
        refused="row 17 has only the path /etc/passwd",
    ),
    Row(
        "empty-image",
        (parquet(with_image({"bytes": b"", "path": None})),),
        refused=r"row 17 cannot be decoded: it is empty",
    ),
    Row(
        "no-image",
        (parquet(with_image({"bytes": b"<svg/>", "path": "x.svg"})),),
        refused="row 17 cannot be decoded: it is a text",
    ),
    Row(
        "cut-image",
        (parquet(with_image({"bytes": encoded(0)[:90], "path": None})),),
        refused="row 17 cannot be decoded",
    ),
    Row("memory", (TRAIN,), options={"memory_bytes": 19 * 8 * 8 * 3}, refused="more than the 19 images of 8x8 px"),
    Row("cut-off-parquet", (changed(ONE, lambda one: one[:-100], TRAIN),), refused="is cut off"),
    Row("cut-off-stream", (changed("t.arrow", lambda one: one[:-8], arrow(table(), "t.arrow")),), refused="is cut off"),
    Row(
        "cut-off-file",
        (changed("t.arrow", lambda one: one[:-9], arrow(table(), "t.arrow", pa.ipc.new_file)),),
        refused="is cut off",
    ),
    Row("empty-file", (text("train.parquet", ""),), refused=r"it is empty \(0 bytes\)"),
    Row(
        "lfs-pointer", (text("train.parquet", "version https://git-lfs.github.com/spec/v1\n"),), refused="git lfs pull"
    ),
    Row("csv-by-name", (text("train.parquet", "file,label\n"),), refused="neither Parquet nor Arrow"),
    Row("page-of-the-web", (text("train.parquet", "<html>"),), refused="a text, such as a page of the web"),
    Row(
        "damaged-footer",
        (changed(ONE, lambda one: one[:-60] + b"\xff" * 50 + one[-10:], TRAIN),),
        refused="cannot be read",
    ),
    Row(
        "offsets-lead-out",
        (changed("t.arrow", without_offsets, arrow(table(), "t.arrow")),),
        refused="t.arrow cannot be read",
    ),
    Row(
        "metadata-no-json",
        (parquet(table().replace_schema_metadata({"huggingface": "{"})),),
        refused="metadata `huggingface`",
    ),
    Row(
        "info-no-json",
        (parquet(table(names={})), text("dataset_info.json", "{")),
        refused="dataset_info.json is no json",
    ),
    Row(
        "state-names-absent-file",
        (*SAVED, text("train/state.json", {"_data_files": [{"filename": "x.arrow"}]})),
        refused="x.arrow is missing",
    ),
    Row(
        "state-leads-out",
        (*SAVED, text("train/state.json", {"_data_files": [{"filename": "../x.arrow"}]})),
        refused="something else than names",
    ),
    Row(
        "state-with-indices",
        (*SAVED, text("train/state.json", {"_data_files": [], "_indices_data_files": [{}]})),
        refused="flatten_indices",
    ),
    Row("single-class", (parquet(table(pa.array([1] * COUNT))),), refused="1 class"),
]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_other_tables_are_refused_with_what_to_do(tmp_path: Path, row: Row) -> None:
    with pytest.raises(InvalidInput, match=row.refused) as caught:
        data.load(section(tmp_path, row))
    assert "\n" not in caught.value.faults[0].message


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("plant", [parquet(table(), "t"), arrow(table(), "t"), arrow(table(), "t", pa.ipc.new_file)])
def test_damaged_files_are_read_or_refused(tmp_path: Path, plant: Plant, seed: int) -> None:
    random = np.random.default_rng(seed)

    def damage(content: bytes) -> bytes:
        values = np.frombuffer(content, np.uint8).copy()
        values[random.integers(8, len(values) - 8, 20)] = random.integers(0, 256, 20)
        return values.tobytes()

    with suppress(InvalidInput):
        data.load(section(tmp_path, Row("", (changed("t", damage, plant),), "t")))


@pytest.mark.parametrize("name", [ONE, "dataset_info.json"])
def test_a_service_reads_files_below_its_roots_only(tmp_path: Path, name: str) -> None:
    root = tmp_path / "data"
    chosen = section(root, Row("", (parquet(table(names={})), text("dataset_info.json", {"features": features()}))))
    assert data.raw({**chosen, "within": [str(root)]}).classes == ("cat", "dog")
    (root / name).rename(tmp_path / "secret")
    (root / name).symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match="leads out of"):
        data.raw({**chosen, "within": [str(root)]})


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    chosen = section(tmp_path, Row("", (TRAIN,)))
    first = data.load(chosen)
    assert data.load(chosen) is first
    parquet(table(start=40))(tmp_path)
    assert data.load(chosen) is not first

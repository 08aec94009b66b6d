"""Tables of files and labels as people write them: a row per table, with what is read, or the words of the refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searchsvc.errors import InvalidInput
from workers.data import classification as data
from workers.tasks.classification import TASK

FILES = [f"pics/{number}.png" for number in range(20)]
PAIRS = [(name, "cat" if place % 2 else "dog") for place, name in enumerate(FILES)]


def lines(head: str = "file,label", sign: str = ",", end: str = "\n", more: str = "") -> str:
    return end.join([head, *(f"{name}{sign}{label}" for name, label in PAIRS), more]).lstrip(end)


@dataclass(frozen=True)
class Row:
    """A table, and the expected outcome."""

    name: str
    text: str | bytes
    classes: tuple[str, ...] = ("cat", "dog")
    sizes: tuple[int, int, int] = (12, 4, 4)
    notes: tuple[str, ...] = ()
    refused: str = ""
    options: dict[str, Any] = field(default_factory=dict)


SPLITS = ["train"] * 12 + ["Valid"] * 4 + ["test"] * 4
SPLIT = "\n".join(
    ["file,label,split", *(f"{name},{label},{split}" for (name, label), split in zip(PAIRS, SPLITS, strict=True))]
)
ROWS = [
    Row("usual", lines()),
    Row("no-header", lines("")),
    Row("capitals", lines("Image,Class")),
    Row("semicolon", lines("filename;category", ";")),
    Row("tab", lines("path\tlabel", "\t")),
    Row("bar", lines("path|label", "|")),
    Row("chosen-delimiter", lines("path^label", "^"), options={"delimiter": "^"}),
    Row("crlf", lines(end="\r\n")),
    Row("byte-order-mark", b"\xef\xbb\xbf" + lines().encode()),
    Row("utf-16-of-excel", lines("file\tlabel", "\t").encode("utf-16")),
    Row("sep-of-excel", "sep=;\n" + lines("file;label", ";")),
    Row("quotes", "file,label\n" + "\n".join(f'"{name}","{label}"' for name, label in PAIRS)),
    Row("spaces", lines("file, label", " , ")),
    Row("blank-lines", lines() + "\n\n\n"),
    Row("dots", "file,label\n" + "\n".join(f"./pics/../{name},{label}" for name, label in PAIRS)),
    Row("backslashes", lines().replace("pics/", "pics\\")),
    Row("numbers", lines().replace("cat", "10").replace("dog", "9"), ("9", "10")),
    Row("split-column", SPLIT),
    Row("split-without-header", SPLIT.partition("\n")[2]),
    Row(
        "more-columns",
        lines("file,label,width").replace("cat", "cat,8").replace("dog", "dog,8"),
        notes=("not read: width",),
    ),
    Row("own-names", lines("key,species"), options={"file_column": "key", "label_column": "Species"}),
    Row(
        "duplicate-rows", lines(more="pics/0.png,dog\npics/1.png,cat"), notes=("2 rows repeat other rows: pics/0.png",)
    ),
    Row("images-option", lines().replace("pics/", ""), options={"images": "pics"}),
    Row("several-labels", lines(more="pics/0.png,cat"), refused=r"line 22: pics/0.png is in line 2 too"),
    Row("two-splits", SPLIT + "\npics/0.png,dog,test", refused="one class and split"),
    Row("missing-files", lines(more="pics/x.png,cat\npics/y.png,cat"), refused="line 22: there is no file .*x.png"),
    Row("empty-label", lines(more="pics/0.png,"), refused="line 22: pics/0.png has no class"),
    Row("no-file", lines(more=",cat"), refused="no name of a file"),
    Row("address", lines(more="https://example.com/0.png,cat"), refused="is an address"),
    Row("unknown-split", SPLIT.replace("Valid", "dev"), refused="'dev' is no split"),
    Row("no-train", SPLIT.replace("train", "val"), refused="no image of the split train"),
    Row(
        "class-only-in-val",
        SPLIT.replace("cat,Valid", "emu,Valid"),
        refused="class 'emu' of validation is not in train",
    ),
    Row("uneven", lines(more="pics/0.png,dog,8"), refused="line 22 has 3 cell"),
    Row("unknown-header", lines("a,b"), refused="set `file_column` and `label_column`"),
    Row(
        "two-file-columns",
        lines("file,label,path").replace("cat", "cat,8").replace("dog", "dog,8"),
        refused="set `file_column`",
    ),
    Row("wrong-option", lines(), refused="no single column 'x'", options={"file_column": "x"}),
    Row("single-column", "\n".join(FILES), refused="single column"),
    Row("latin-1", lines(more="pics/0.png,caf\xe9").encode("latin-1"), refused=r"not text in UTF-8 \(line 22\)"),
    Row("utf-16-without-mark", lines().encode("utf-16-le"), refused="has a zero byte in line 1"),
    Row("half-utf-16", lines().encode("utf-16")[:-1], refused=r"not text in UTF-16"),
    Row("zero-byte", lines(more="pics/0\0.png,cat"), refused="has a zero byte in line 22"),
    Row("two-delimiters", "pics/0.png,a;cat\npics/1.png,b;dog", refused="by each of ',', ';': set `delimiter`"),
    Row("quote-as-delimiter", lines(), refused="delimiter", options={"delimiter": '"'}),
    Row("empty", "", refused="is empty"),
    Row("blank-cells", ",\n,,\n", refused="has no cell that is not empty"),
    Row("open-quote", lines(more='pics/0.png,"dog'), refused="line 22"),
    Row("no-image", lines(more="table.csv,cat"), refused="table.csv"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_table_is_read_as_it_is_or_refused(tmp_path: Path, row: Row) -> None:
    section = planted(tmp_path, row)
    if row.refused:
        with pytest.raises(InvalidInput, match=row.refused):
            data.load(section)
        return
    info = TASK.inspect(section, 0)
    assert info.classes == row.classes
    assert tuple(info.sizes.values()) == row.sizes
    for part in row.notes:
        assert any(part in sentence for sentence in info.notes), info.notes
    assert len(info.notes) == len(row.notes), info.notes


def planted(root: Path, row: Row) -> dict[str, Any]:
    """Write a table and its images; return the section of the dataset."""
    random = np.random.default_rng(0)
    (root / "pics").mkdir()
    for name in FILES:
        Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(root / name)
    (root / "table.csv").write_bytes(row.text if isinstance(row.text, bytes) else row.text.encode())
    options = {key: str(root / value) if key == "images" else value for key, value in row.options.items()}
    return {"name": "x", "format": "csv", "path": str(root / "table.csv"), "size": 8, "color": False, **options}


@pytest.mark.parametrize("name", ["../secret.png", "{}/secret.png", "pics/link.png", "pics/dead.png"])
def test_a_service_reads_files_below_its_roots_only(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    section = planted(tmp_path / "data", Row("", lines(more=f"{name.format(tmp_path)},cat")))
    Image.new("L", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "data/pics/link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "data/pics/dead.png").symlink_to(tmp_path / "absent.png")
    with pytest.raises(InvalidInput, match="leads out of"):
        data.load({**section, "within": [str(tmp_path / "data")]})


def test_a_changed_image_is_read_again(tmp_path: Path) -> None:
    section = planted(tmp_path, Row("", lines()))
    first = data.load(section)
    assert data.load(section) is first
    Image.new("L", (9, 9)).save(tmp_path / FILES[0])
    assert data.load(section) is not first

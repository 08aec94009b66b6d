"""`csv`: a table with a row per image: its file, its class, and optionally its split.

The columns are found by their names in the first row, or by the options; without such a row, they are file, class and
split. Files are relative to the folder of the table, or to `images`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field

from searchsvc.errors import Fault, InvalidInput
from searchsvc.files import is_confined
from workers.data.classification.classes import class_order, similar_classes
from workers.data.classification.options import ImageFileOptions
from workers.data.dataset import RawDataset, Split, SplitFiles
from workers.data.imagefiles import Decoder, images_of, printable
from workers.data.imagemodes import has_image_ending
from workers.data.notes import note, oddity_notes
from workers.data.options import FAULTS_LISTED, DatasetFormat, check_classes, existing, stamps
from workers.data.recognition import TableHead, entries_in, table_head, tables_in
from workers.data.splits import SplitName, split_of
from workers.data.tables import Delimiter, TableRow, read_table

_FILES: Final = (
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "path",
    "image",
    "image_path",
    "image_name",
    "img",
)
_LABELS: Final = ("label", "class", "category", "target", "class_name", "label_name")
_SPLITS: Final = ("split", "set", "subset")
_Column = Annotated[str, Field(min_length=1, max_length=256)]


class CsvOptions(ImageFileOptions):
    """Options of the format `csv`."""

    format: Literal["csv"]
    images: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """The folder that the files are relative to; None: the folder of the table."""
    file_column: _Column | None = None
    label_column: _Column | None = None
    split_column: _Column | None = None
    """Names of the columns in the first row; None: by their usual names, such as file, label and split."""
    delimiter: Delimiter | None = None
    """The character between cells; None: a comma, a semicolon, a tab or a bar."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """An image in the table."""

    line: int
    name: str
    """Path as the table has it, normalised."""
    path: Path
    label: str
    split: SplitName


@dataclass(frozen=True, slots=True)
class _Columns:
    """Positions of the columns, and the rows below their names."""

    file: int
    label: int
    split: int | None
    rows: Sequence[TableRow]
    unread: tuple[str, ...]
    """Names of the other columns."""


def _fingerprint(options: CsvOptions) -> Hashable:
    table = existing(options.path, folder=False, within=options.within)
    return stamps([table, *(one.path for one in _listed(options)[0])])


def _read(options: CsvOptions) -> RawDataset:
    images, notes = _listed(options)
    labels = sorted({one.label for one in images if one.split == "train"}, key=class_order)
    unknown = [one for one in images if one.label not in set(labels)]
    if unknown:
        raise InvalidInput(
            Fault("/path", f"line {one.line}: class {one.label!r} of {one.split} is not in train")
            for one in unknown[:FAULTS_LISTED]
        )
    number = {label: index for index, label in enumerate(labels)}
    parts: dict[SplitName, Split] = {}
    odd: list[str] = []
    order: tuple[SplitName, ...] = ("train", "validation", "test")
    for split in order:
        own = [one for one in images if one.split == split]
        if not own and split != "train":
            continue
        paths, names = tuple(one.path for one in own), tuple(one.name for one in own)
        decoder = Decoder(options.size, options.color, options.within)
        pixels, headers = images_of(paths, decoder, options.memory_bytes)
        odd += oddity_notes(names, headers)
        index = np.array([number[one.label] for one in own], np.int64)
        parts[split] = Split(pixels, index, names, SplitFiles(paths, options.within))
        if split == "train":
            check_classes(index, tuple(labels), options.min_images, options.path)
        absent = [label for label in labels if number[label] not in set(index.tolist())]
        notes += note(absent, f"class has no image in {split}", f"classes have no image in {split}")
    classes = tuple(labels)
    said = (*notes, *similar_classes(classes), *odd)
    return RawDataset(options.name, classes, parts["train"], parts.get("test"), parts.get("validation"), said)


def _listed(options: CsvOptions) -> tuple[list[_Listed], tuple[str, ...]]:
    """Return the images of the table, once each, and notes. Raises InvalidInput that names bad lines."""
    table = existing(options.path, folder=False, within=options.within)
    folder = table.parent
    if options.images is not None:
        folder = existing(options.images, folder=True, pointer="/images", within=options.within)
    columns = _columns(read_table(table, "/path", options.within, options.delimiter), options)
    faults: list[Fault] = []
    images: dict[Path, _Listed] = {}
    again = []
    for row in columns.rows:
        one = _image(row, columns, folder, options)
        if isinstance(one, str):
            faults.append(Fault("/path", f"line {row.line}: {one}"))
            continue
        first = images.setdefault(one.path, one)
        if (first.label, first.split) != (one.label, one.split):
            both = f"{first.label!r} of {first.split} and here {one.label!r} of {one.split}"
            message = (
                f"{printable(one.name)} is in line {first.line} too, there {both}; an image has one class and split"
            )
            faults.append(Fault("/path", f"line {row.line}: {message}"))
        elif first is not one:
            again.append(one.name)
    if faults:
        raise InvalidInput(faults[:FAULTS_LISTED])
    if not any(one.split == "train" for one in images.values()):
        raise InvalidInput.at("/path", f"{table} lists no image of the split train")
    unread = note(columns.unread, "column is not read", "columns are not read")
    repeated = note(again, "row repeats another row", "rows repeat other rows")
    return list(images.values()), (*unread, *repeated)


def _image(row: TableRow, columns: _Columns, folder: Path, options: CsvOptions) -> _Listed | str:
    """Return the image of a row, or what is wrong with it."""
    name, label = row.cells[columns.file], row.cells[columns.label]
    split: SplitName | None = "train" if columns.split is None else split_of(row.cells[columns.split])
    if split is None:
        return f"{row.cells[columns.split or 0]!a} is no split: write train, val or test"
    if not name:
        return "there is no name of a file"
    if not label or not label.isprintable():
        return f"{printable(name)} has no class" if not label else f"the class {label!a} cannot be printed"
    if "://" in name:
        return f"{printable(name)} is an address: copy the images to a folder"
    parts = Path(name).parts
    if options.within is not None and (
        ".." in parts or (Path(name).is_absolute() and not is_confined(Path(name), options.within))
    ):
        return f"{printable(name)} leads out of {' and '.join(options.within)}"
    path = folder / posixpath.normpath(name)
    if not path.is_file() and "\\" in name:
        path = folder / posixpath.normpath(name.replace("\\", "/"))
    if not path.is_file():
        if not is_confined(path, options.within):
            return f"{printable(name)} leads out of {' and '.join(options.within or ())}"
        return f"there is no file {printable(path)}"
    return _Listed(
        row.line, path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path), path, label, split
    )


def _columns(rows: Sequence[TableRow], options: CsvOptions) -> _Columns:
    """Find the columns. Raises InvalidInput that says which options name them."""
    head = [cell.casefold() for cell in rows[0].cells]
    file = _column(head, options.file_column, _FILES, "/file_column")
    label = _column(head, options.label_column, _LABELS, "/label_column")
    if file is not None and label is not None:
        split = _column(head, options.split_column, _SPLITS, "/split_column")
        unread = [name for place, name in enumerate(rows[0].cells) if place not in (file, label, split)]
        return _Columns(file, label, split, rows[1:], tuple(unread))
    splits = len(head) == 3 and all(split_of(row.cells[2]) for row in rows)
    if file is None and label is None and has_image_ending(rows[0].cells[0]) and (len(head) == 2 or splits):
        return _Columns(0, 1, 2 if splits else None, rows, ())
    cells = ", ".join(map(printable, rows[0].cells))
    ways = "name them `file` and `label`, or set `file_column` and `label_column`"
    raise InvalidInput.at(
        "/path", f"line {rows[0].line} ({cells}) does not name the columns of files and labels: {ways}"
    )


def _column(head: Sequence[str], chosen: str | None, usual: Sequence[str], pointer: str) -> int | None:
    """Return the position of a column. Raises InvalidInput at `pointer` if it is not clear which."""
    if chosen is not None:
        if head.count(chosen.casefold()) != 1:
            raise InvalidInput.at(pointer, f"the first row has no single column {chosen!r}; it has {', '.join(head)}")
        return head.index(chosen.casefold())
    found = [place for place, name in enumerate(head) if name in usual]
    if len(found) > 1:
        names = ", ".join(head[place] for place in found)
        raise InvalidInput.at("/path", f"the columns {names} may each be meant: set `{pointer[1:]}`")
    return found[0] if found else None


def _detect(path: Path) -> Mapping[str, Any] | None:
    """Recognise a table of files and classes, or a folder with a single such table."""
    tables = [one for one in (tables_in(path) if path.is_dir() else [path]) if _is_table(one)]
    if len(tables) != 1:
        return None
    head = table_head(tables[0])
    folder = None if head is None else _folder_of(tables[0].parent, head)
    return {"path": str(tables[0])} | ({} if folder is None else {"images": str(folder)})


def _is_table(path: Path) -> bool:
    head = table_head(path)
    if head is None:
        return False
    names = [cell.casefold() for cell in head.first]
    if any(name in _FILES for name in names) and any(name in _LABELS for name in names):
        return True
    return len(names) in (2, 3) and has_image_ending(names[0])


def _folder_of(folder: Path, head: TableHead) -> Path | None:
    """Return the folder beside a table that holds the file of its first row; None if the table's own folder does."""
    names = [cell.casefold() for cell in head.first]
    place = next((place for place, name in enumerate(names) if name in _FILES), 0)
    row = head.second if names[place] in _FILES else head.first
    if len(row) <= place or not row[place] or "\0" in row[place]:
        return None
    holding = [one for one in (folder, *entries_in(folder)) if one.is_dir() and (one / row[place]).is_file()]
    return holding[0] if holding and holding[0] != folder else None


CSV = DatasetFormat(
    "a table of files and labels (csv), with a column for splits if there are any; images as for imagefolder",
    CsvOptions,
    _read,
    _fingerprint,
    paths=("path", "images", "reassessed"),
    fitted=lambda shape: {"size": shape[1], "color": shape[0] == 3},
    detect=_detect,
    rank=1,
)

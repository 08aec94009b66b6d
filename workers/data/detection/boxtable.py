"""`csv`: tables with a row per box: image, coordinates, class.

The names of the columns are those of usual tools (`boxcolumns`). Coordinates are px from the corner of the image, or
shares of its sides if none exceeds 1. A row without coordinates is an image without objects. Classes are sorted, whole
numbers by their values.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from searchsvc.errors import Fault, InvalidInput
from workers.data.detection.annotated import FAULTS_LISTED, AnnotatedImages, raw_scenes, remark_unused
from workers.data.detection.annotationfiles import (
    FileKind,
    annotation_files,
    files_of_kind,
    image_folder,
    no_annotations,
)
from workers.data.detection.boxcolumns import NO_HEADER, BoxColumns, BoxRow, is_without_header
from workers.data.detection.dataset import RawScenes
from workers.data.detection.imagenames import ImageFolder
from workers.data.detection.objects import StatedObjects
from workers.data.detection.options import BoxFilesOptions, RelativePath, below
from workers.data.detection.remarks import RemarkKind, Remarks
from workers.data.imagefiles import printable
from workers.data.options import DatasetFormat, existing, stamps
from workers.data.recognition import table_head
from workers.data.splits import SplitName, split_of
from workers.data.tables import Delimiter, read_table
from workers.data.walk import contents_of

_CSV: Final = FileKind(".csv", ("classes", "_classes", "class-descriptions", "class_", "sample_submission"))
_COLUMN = RemarkKind("column is not read", "columns are not read")


class BoxTableOptions(BoxFilesOptions):
    """Options of the format `csv`; paths of files and folders are relative to `path`."""

    format: Literal["csv"]
    annotations: RelativePath | None = None
    """The table; None: it is found."""
    images: RelativePath | None = None
    """The folder of the images; None: it is found by their names."""
    validation_annotations: RelativePath | None = None
    test_annotations: RelativePath | None = None
    delimiter: Delimiter | None = None
    """The character between cells; None: a comma, a semicolon, a tab or a bar."""


@dataclass(slots=True)
class _ImageRows:
    """The rows of a split by image, and the file that they are from."""

    file: Path
    option: str
    rows: dict[str, list[BoxRow]] = field(default_factory=dict)

    def stated(self) -> list[tuple[int, int]]:
        return [max(row.size for row in rows) for rows in self.rows.values()]


def _files(options: BoxTableOptions, remarks: Remarks) -> tuple[Path, dict[SplitName, tuple[str, Path]]]:
    """Return the folder, and the option and table of each split; that of `train` may hold them all."""
    path = Path(options.path).expanduser()
    if path.suffix.lower() == _CSV.ending and path.is_file():
        file = existing(path, folder=False, within=options.within)
        return file.parent, {"train": ("path", file)}
    root = existing(options.path, folder=True, within=options.within)
    if options.annotations is None:
        found = annotation_files(root, _CSV, options.within, remarks)
        if not found:
            raise no_annotations(root, _CSV)
        return root, {split: ("annotations", file) for split, file in found.items()}
    named: dict[SplitName, str] = {
        "train": "annotations",
        "validation": "validation_annotations",
        "test": "test_annotations",
    }
    return root, {
        split: (option, below(root, file, option, options))
        for split, option in named.items()
        if (file := getattr(options, option)) is not None
    }


def _fingerprint(options: BoxTableOptions) -> Hashable:
    return stamps(contents_of(_files(options, Remarks())[0], options.within).files)


def _read(options: BoxTableOptions) -> RawScenes:
    remarks = Remarks()
    root, files = _files(options, remarks)
    tables: dict[SplitName, _ImageRows] = {}
    for split, (option, file) in files.items():
        tables |= _table(file, f"/{option}", split, options, remarks)
    if not tables.get("train"):
        raise InvalidInput.at("/annotations", "no row is an image to train on")
    classes = _classes([row for table in tables.values() for rows in table.rows.values() for row in rows])
    folders: dict[Path, ImageFolder] = {}
    parts: dict[SplitName, AnnotatedImages] = {}
    for split in (one for one in ("train", "validation", "test") if one in tables):
        parts[split] = _annotated(root, split, tables[split], classes, options, folders, remarks)
    used = {path for part in parts.values() for path in part.paths} | {file for _, file in files.values()}
    remark_unused([*folders.values(), ImageFolder(root, options.within)], used, remarks)
    return raw_scenes(options, parts, remarks)


def _table(
    file: Path, pointer: str, split: SplitName, options: BoxTableOptions, remarks: Remarks
) -> dict[SplitName, _ImageRows]:
    """Return the rows of a table by split, as a column says, or all of one split."""
    rows = read_table(file, pointer, options.within, options.delimiter)
    columns = NO_HEADER
    if is_without_header(rows[0].cells):
        remarks.say(f"{file.name} has no header; its columns are taken as path, x1, y1, x2, y2, class")
    else:
        try:
            columns, others = BoxColumns.of(rows[0].cells)
        except ValueError as error:
            raise InvalidInput.at(pointer, f"{printable(file)}: {error}") from None
        remarks.add(_COLUMN, *(f"{file.name} {name}" for name in others))
        rows = rows[1:]
    faults: list[Fault] = []
    tables: dict[SplitName, _ImageRows] = {}
    for one in rows:
        try:
            row = columns.row(one)
            own = _split(row, split)
        except ValueError as error:
            faults.append(Fault(pointer, f"{printable(file)}, line {one.line}: {printable(error)}"))
            continue
        tables.setdefault(own, _ImageRows(file, pointer)).rows.setdefault(row.image, []).append(row)
    faults += _contradictions(tables.values(), pointer)
    if faults:
        raise InvalidInput(faults[:FAULTS_LISTED])
    return tables


def _split(row: BoxRow, default: SplitName) -> SplitName:
    if not row.split:
        return default
    split = split_of(row.split)
    if split is None:
        raise ValueError(f"{row.split!r} is none of train, validation, test")
    return split


def _contradictions(tables: Iterable[_ImageRows], pointer: str) -> Iterator[Fault]:
    for table in tables:
        for image, rows in table.rows.items():
            if len({row.size for row in rows}) > 1:
                yield Fault(pointer, f"{printable(image)} has different sizes in its rows")


def _classes(rows: Sequence[BoxRow]) -> tuple[str, ...]:
    names = {row.label for row in rows if row.corners is not None}
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _annotated(
    root: Path,
    split: SplitName,
    table: _ImageRows,
    classes: tuple[str, ...],
    options: BoxTableOptions,
    folders: dict[Path, ImageFolder],
    remarks: Remarks,
) -> AnnotatedImages:
    names = tuple(table.rows)
    if options.images is None:
        place = image_folder(root, table.file, split, names, options.within).path
    else:
        place = below(root, options.images, "images", options, folder=True)
    folder = folders.setdefault(place, ImageFolder(place, options.within))
    paths = tuple(folder.find(name, remarks) or folder.path / Path(name).name for name in names)
    names = tuple(path.relative_to(folder.path).as_posix() for path in paths)
    label = {name: number for number, name in enumerate(classes)}
    stated = np.array(table.stated(), np.int64).reshape(-1, 2)
    return AnnotatedImages(table.option, classes, paths, names, stated, _objects(table.rows, label, remarks))


def _objects(images: Mapping[str, Sequence[BoxRow]], label: Mapping[str, int], remarks: Remarks) -> StatedObjects:
    found = [
        (place, label[row.label], row.corners, row.crowd)
        for place, rows in enumerate(images.values())
        for row in rows
        if row.corners is not None
    ]
    corners = [one[2] for one in found]
    shares = bool(corners) and max(max(map(abs, one)) for one in corners) <= 1.0
    if shares:
        remarks.say("coordinates are shares of width and height, as none exceeds 1")
    return StatedObjects.of(
        [one[0] for one in found], [one[1] for one in found], corners, [one[3] for one in found], shares=shares
    )


def _detect(path: Path) -> Mapping[str, Any] | None:
    """Recognise a table of boxes, and a folder with such tables."""
    files = [path] if path.is_file() else files_of_kind(path, _CSV)
    return {"path": str(path)} if any(map(_is_table, files)) else None


def _is_table(path: Path) -> bool:
    head = table_head(path) if path.suffix.lower() == _CSV.ending else None
    if head is None:
        return False
    try:
        return is_without_header(head.first) or bool(BoxColumns.of(head.first))
    except ValueError:
        return False


CSV = DatasetFormat(
    "images and tables of boxes (csv: file, xmin, ymin, xmax, ymax, class)",
    BoxTableOptions,
    _read,
    _fingerprint,
    fitted=lambda shape: {"size": shape[1]},
    detect=_detect,
)

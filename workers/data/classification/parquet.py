"""`parquet`: Parquet or Arrow files with encoded images and labels, as Hugging Face `datasets` saves them.

The files and their splits are found by `shards`, the columns by `columns`. Images are decoded a few rows at a time, by
the rules of image files, into memory.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from searchsvc.errors import Fault, InvalidInput
from workers.data.classification.arrowfiles import arrow, parts_of
from workers.data.classification.classes import class_order, similar_classes
from workers.data.classification.columns import TableColumns, columns_of, same_columns
from workers.data.classification.options import ImageFileOptions
from workers.data.classification.shards import ENDINGS, Shard, shards_of
from workers.data.dataset import RawDataset, Split
from workers.data.imagefiles import Decoder, EncodedImage, printable
from workers.data.imageheaders import ImageHeader
from workers.data.notes import note, oddity_notes
from workers.data.options import FAULTS_LISTED, DatasetFormat, check_classes, stamps
from workers.data.recognition import files_in
from workers.data.splits import SplitName

_LONGEST: Final = 1024
"""The most characters of the name of a class."""
_NO_LABEL: Final = -1
"""The label that `datasets` gives images without one."""
_Column = Annotated[str, Field(min_length=1, max_length=256)]


class ParquetOptions(ImageFileOptions):
    """Options of the format `parquet`."""

    format: Literal["parquet"]
    image: _Column | None = None
    """Name of the column of images; None: the only one that holds encoded images."""
    label: _Column | None = None
    """Name of the column of labels; None: the only one that is declared as such, or has a usual name."""


@dataclass(frozen=True, slots=True)
class _SplitRows:
    """The rows of a split: its files with their columns, and the name of the class of each row."""

    split: SplitName
    shards: tuple[Shard, ...]
    columns: tuple[TableColumns, ...]
    labels: tuple[str | None, ...]
    places: tuple[tuple[Shard, int], ...]
    """The file and the first row, among those of the split, of each file."""

    def place(self, row: int) -> str:
        """Return the file and the number in it of a row of the split."""
        shard, start = next((shard, start) for shard, start in reversed(self.places) if start <= row)
        return f"{shard.name} row {row - start}"


def _fingerprint(options: ParquetOptions) -> Hashable:
    return stamps(shards_of(options.path, options.within).paths)


def _read(options: ParquetOptions) -> RawDataset:
    shards = shards_of(options.path, options.within)
    first = columns_of(shards.splits["train"][0], options.image, options.label)
    columns = {split: [same_columns(one, first) for one in some] for split, some in shards.splits.items()}
    _check_declared(first, shards.splits, columns)
    tables = [_rows(split, shards.splits[split], columns[split], options) for split in shards.splits]
    unlabelled = [one for one in tables if all(label is None for label in one.labels)]
    said = [*shards.notes, *_unread(tables), *_unused(unlabelled)]
    used = {one.split: one for one in tables if one not in unlabelled}
    if "train" not in used:
        names = ", ".join(printable(one.name) for one in shards.splits["train"][:FAULTS_LISTED])
        raise _wrong(f"no image of {names} has a label; for images without labels, save a folder of them")
    _check_labelled(used.values())
    present = set(used["train"].labels)
    classes = tuple(name for name in _declared(first, used["train"]) if name in present)
    said += note(
        [name for name in first.classes or () if name not in present],
        "declared class has no image in train and is left out",
        "declared classes have no image in train and are left out",
    )
    labels = {split: _numbered(rows, classes) for split, rows in used.items()}
    check_classes(labels["train"], classes, options.min_images, options.path)
    parts: dict[SplitName, Split] = {}
    for split, rows in used.items():
        images, headers = _images(rows, options)
        parts[split] = Split(images, labels[split])
        absent = [classes[one] for one in np.setdiff1d(np.arange(len(classes)), labels[split])]
        said += note(absent, f"class has no image in {split}", f"classes have no image in {split}")
        odd = [row for row, header in enumerate(headers) if header.oddities]
        said += oddity_notes([rows.place(row) for row in odd], [headers[row] for row in odd])
    notes = (*said, *similar_classes(classes))
    return RawDataset(options.name, classes, parts["train"], parts.get("test"), parts.get("validation"), notes)


def _check_declared(
    first: TableColumns,
    shards: Mapping[SplitName, Sequence[Shard]],
    columns: Mapping[SplitName, Sequence[TableColumns]],
) -> None:
    """Raise InvalidInput if files declare other names of classes, or those of train lack labels."""
    start = shards["train"][0]
    for split, some in shards.items():
        for shard, own in zip(some, columns[split], strict=True):
            if own.label is None and split == "train":
                raise _wrong(f"{printable(shard.name)} has no column {first.label}, which {start.name} has")
            if own.label is not None and own.classes != first.classes:
                message = f"{printable(shard.name)} declares other names of classes than {printable(start.name)}"
                raise _wrong(f"{message}: save both with the same feature ClassLabel")


def _rows(
    split: SplitName, shards: Sequence[Shard], columns: Sequence[TableColumns], options: ParquetOptions
) -> _SplitRows:
    """Return the rows of a split with their labels; without labels if a file has none. Raises InvalidInput."""
    labels: list[str | None] = []
    places: list[tuple[Shard, int]] = []
    faults: list[Fault] = []
    names: dict[str, str] = {}
    most = options.memory_bytes // Decoder(options.size, options.color).image_bytes
    if all(one.label is not None for one in columns):
        for shard, own in zip(shards, columns, strict=True):
            places.append((shard, len(labels)))
            for label in _labels(shard, own, faults):
                labels.append(label if label is None else names.setdefault(label, label))
                if len(faults) >= FAULTS_LISTED:
                    raise InvalidInput(faults)
                if len(labels) > most:
                    raise _too_large(split, most, options)
    if faults:
        raise InvalidInput(faults[:FAULTS_LISTED])
    if columns[0].classes is None and set(names) == {str(_NO_LABEL)}:
        labels = [None] * len(labels)
    return _SplitRows(split, tuple(shards), tuple(columns), tuple(labels), tuple(places))


def _labels(shard: Shard, columns: TableColumns, faults: list[Fault]) -> Iterator[str | None]:
    """Yield the name of the class of each row of a file, None without one; wrong labels become faults."""
    assert columns.label is not None
    row = 0
    for part in parts_of(shard, columns.label):
        for value in part.to_pylist():
            try:
                yield _class_of(value, columns.classes)
            except ValueError as error:
                faults.append(Fault("/path", f"{printable(shard.name)} row {row} {error}"))
                yield None
            row += 1


def _class_of(value: Any, classes: tuple[str, ...] | None) -> str | None:
    """Return the name of the class of a label; None for no label. Raises ValueError."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        if not value.strip() or not value.isprintable() or len(value) > _LONGEST:
            raise ValueError(f"has the label {value[:40]!a}, which is empty, too long or cannot be printed")
        return value
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError(f"has the label {value}, which is no whole number: a classifier has classes")
        value = int(value)
    if classes is None:
        return str(value)
    if value == _NO_LABEL:
        return None
    if not 0 <= value < len(classes):
        raise ValueError(f"has the label {value}; there are {len(classes)} names of classes")
    return classes[int(value)]


def _declared(columns: TableColumns, rows: _SplitRows) -> Sequence[str]:
    """Return the names of classes in their order: as declared, or sorted."""
    if columns.classes is not None:
        return columns.classes
    return sorted({label for label in rows.labels if label is not None}, key=class_order)


def _unread(tables: Sequence[_SplitRows]) -> tuple[str, ...]:
    names = dict.fromkeys(name for one in tables for columns in one.columns for name in columns.unread)
    return note(list(names), "column is not read", "columns are not read")


def _unused(tables: Sequence[_SplitRows]) -> Iterator[str]:
    """Yield a note for each split without labels."""
    for one in tables:
        names = ", ".join(printable(shard.name) for shard in one.shards[:3])
        lacking = one.labels or any(columns.label is None for columns in one.columns)
        held = "its images have no labels" if lacking else "it has no rows"
        yield f"the split {one.split} is not read, as {held}: {names}"


def _check_labelled(tables: Iterable[_SplitRows]) -> None:
    """Raise InvalidInput that names rows without a label."""
    rows = [(one, row) for one in tables for row, label in enumerate(one.labels) if label is None]
    if rows:
        raise InvalidInput(
            Fault("/path", f"{printable(one.place(row))} has no label: remove the row, or label it")
            for one, row in rows[:FAULTS_LISTED]
        )


def _numbered(rows: _SplitRows, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the number of the class of each row. Raises InvalidInput for classes that train does not have."""
    number = {name: place for place, name in enumerate(classes)}
    unknown = {label: row for row, label in reversed(list(enumerate(rows.labels))) if label not in number}
    if unknown:
        raise InvalidInput(
            Fault("/path", f"{printable(rows.place(row))}: class {label!r} of {rows.split} is not in train")
            for label, row in sorted(unknown.items(), key=lambda one: one[1])[:FAULTS_LISTED]
        )
    return np.array([number[label] for label in rows.labels if label is not None], np.int64)


def _too_large(split: SplitName, most: int, options: ParquetOptions) -> InvalidInput:
    message = f"the split {split} has more than the {most:,} images of {options.size}x{options.size} px that fit into"
    ways = "raise it, choose a smaller `size`, or save the images as an imagefolder, which need not fit"
    return InvalidInput.at("/memory_bytes", f"{message} {options.memory_bytes:,} bytes: {ways}")


def _images(rows: _SplitRows, options: ParquetOptions) -> tuple[NDArray[np.uint8], list[ImageHeader]]:
    """Return the decoded images (n, c, size, size) of a split, and their headers.

    Raises InvalidInput that names each row whose image cannot be decoded.
    """
    decoder = Decoder(options.size, options.color, options.within)
    images = np.empty((len(rows.labels), decoder.channels, options.size, options.size), np.uint8)
    headers: list[ImageHeader] = []
    faults: list[Fault] = []
    done = 0
    for shard, start in rows.places:
        for part in parts_of(shard, rows.columns[0].image):
            if done + len(part) > len(images):
                raise _uneven(rows)
            try:
                decoded, described = decoder.describe_all(list(_encoded(part, shard.name, done - start)))
                images[done : done + len(part)] = decoded
                headers += described
            except InvalidInput as error:
                faults += error.faults
            done += len(part)
            if len(faults) >= FAULTS_LISTED:
                raise InvalidInput(faults[:FAULTS_LISTED])
    if faults:
        raise InvalidInput(faults)
    if done != len(images):
        raise _uneven(rows)
    return images, headers


def _uneven(rows: _SplitRows) -> InvalidInput:
    names = ", ".join(printable(one.name) for one in rows.shards[:3])
    return _wrong(f"the columns of images and labels of {names} have different lengths: save the table again")


def _encoded(part: Any, name: str, start: int) -> Iterator[EncodedImage]:
    """Yield the images of a few rows, the first of which has the number `start`. Raises InvalidInput."""
    pyarrow = arrow()
    paths: Sequence[Any] = [None] * len(part)
    if pyarrow.types.is_struct(part.type):
        if part.type.get_field_index("path") >= 0:
            paths = pyarrow.compute.struct_field(part, "path").to_pylist()
        part = pyarrow.compute.struct_field(part, "bytes")
    faults = []
    for row, (content, path) in enumerate(zip(part.to_pylist(), paths, strict=True), start):
        place = f"{name} row {row}"
        path = path if isinstance(path, str) else ""
        if content is not None:
            yield EncodedImage(content, place, path)
        elif path:
            ways = "save the files in the table, or list paths and labels in a table of the format csv"
            faults.append(Fault("/path", f"{printable(place)} has only the path {printable(path)} of an image: {ways}"))
        else:
            faults.append(Fault("/path", f"{printable(place)} has no image: remove the row"))
    if faults:
        raise InvalidInput(faults)


def _wrong(message: str) -> InvalidInput:
    return InvalidInput.at("/path", message)


def _detect(path: Path) -> Mapping[str, Any] | None:
    """Recognise a Parquet or Arrow file, and a folder with such files at any depth."""
    names = [path] if path.is_file() else [one for ending in ENDINGS for one in files_in(path, ending)]
    return {"path": str(path)} if any(one.suffix.lower() in ENDINGS for one in names) else None


PARQUET = DatasetFormat(
    "Parquet or Arrow files with encoded images and labels, as Hugging Face datasets saves them",
    ParquetOptions,
    _read,
    _fingerprint,
    paths=("path", "reassessed"),
    fitted=lambda shape: {"size": shape[1], "color": shape[0] == 3},
    detect=_detect,
)

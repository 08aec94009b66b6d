"""The columns of images and labels in a table of Parquet or Arrow, and the names of the classes that it declares."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from searchsvc.errors import InvalidInput
from workers.data.classification.arrowfiles import arrow, schema_of
from workers.data.classification.shards import INFO, Shard, read_json
from workers.data.imagefiles import printable

_LABELS: Final = frozenset(
    {
        "label",
        "labels",
        "class",
        "classes",
        "category",
        "target",
        "targets",
        "class_name",
        "label_name",
        "fine_label",
        "fine_labels",
        "coarse_label",
        "coarse_labels",
    }
)
_MEDIA: Final = frozenset({"Audio", "Video", "Pdf", "Mesh", "Nifti"})
"""Features of `datasets` that are stored as images are."""
_Features: TypeAlias = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Names of the columns of a file, and what its labels mean."""

    image: str
    label: str | None
    """None: there is no column of this name."""
    classes: tuple[str, ...] | None
    """Names of the labels 0, 1, ...; None: labels are names themselves."""
    unread: tuple[str, ...]
    """Names of the other columns."""


@dataclass(frozen=True, slots=True)
class _Table:
    shard: Shard
    fields: Mapping[str, Any]
    """Type (`pyarrow.DataType`) of each column."""
    features: _Features
    """Description of a column by `datasets`: its `_type`, and `names` of its classes."""

    @property
    def listed(self) -> str:
        columns = [f"{printable(name)} ({str(kind)[:60]})" for name, kind in self.fields.items()]
        return ", ".join(columns[:20]) + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")


def columns_of(shard: Shard, image: str | None, label: str | None) -> TableColumns:
    """Find the columns of a file, whose names may be given. Raises InvalidInput that lists the columns."""
    table = _table(shard)
    image = _image(table, image)
    label = _label(table, label, image)
    return _described(table, image, label)


def same_columns(shard: Shard, first: TableColumns) -> TableColumns:
    """Return the columns of another file, by the names in the first; it may lack labels. Raises InvalidInput."""
    table = _table(shard)
    assert first.label is not None
    return _described(table, _image(table, first.image), first.label if first.label in table.fields else None)


def _table(shard: Shard) -> _Table:
    schema = schema_of(shard)
    again = [name for name, count in Counter(name for name, _ in schema.columns).items() if count > 1]
    if again:
        raise _wrong(shard, f"has several columns that are called {printable(again[0])}: rename them")
    stored = schema.metadata.get(b"huggingface")
    if stored is not None:
        features = _features(shard, stored)
    else:
        info = shard.path.parent / INFO
        features = _declared(read_json(info, shard.within)) if info.is_file() else {}
    return _Table(shard, dict(schema.columns), features)


def _features(shard: Shard, stored: bytes) -> _Features:
    try:
        content = json.loads(stored)
    except (ValueError, RecursionError):
        raise _wrong(shard, "has the metadata `huggingface`, but they are no json") from None
    return _declared(content.get("info") if isinstance(content, dict) else None)


def _declared(info: Any) -> _Features:
    features = info.get("features") if isinstance(info, dict) else None
    if not isinstance(features, dict):
        return {}
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}


def _image(table: _Table, chosen: str | None) -> str:
    kinds = {name: _image_kind(kind) for name, kind in table.fields.items()}
    if chosen is not None:
        if chosen not in kinds:
            raise InvalidInput.at("/image", _absent(table, chosen))
        if not kinds[chosen]:
            message = f"column {printable(chosen)} holds no encoded images, but {str(table.fields[chosen])[:60]}"
            raise _wrong(table.shard, f"{message}: {_way(table.fields[chosen])}", "/image")
        return chosen
    stated = {name: feature.get("_type") for name, feature in table.features.items()}
    usable = [name for name, kind in kinds.items() if kind and stated.get(name) not in _MEDIA]
    best = [name for name in usable if stated.get(name) == "Image"]
    best = best or [name for name in usable if kinds[name] == "struct"] or usable
    if len(best) > 1:
        names = " and ".join(map(printable, best))
        raise _wrong(table.shard, f"has several columns of images, {names}: set `image` to one of them")
    if not best:
        ways = {_way(kind) for kind in table.fields.values()} - {""}
        advice = min(ways) if ways else "save encoded images (png, jpg) as binary values"
        raise _wrong(table.shard, f"has no column of encoded images, but {table.listed}: {advice}")
    return best[0]


def _image_kind(kind: Any) -> str | None:
    """Return `struct` or `binary` if a column may hold encoded images."""
    types = arrow().types
    if types.is_struct(kind):
        inner = [field.type for field in kind if field.name == "bytes"]
        return "struct" if len(inner) == 1 and _image_kind(inner[0]) == "binary" else None
    return "binary" if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind) else None


def _way(kind: Any) -> str:
    """Return what to do about a column of another type instead of encoded images."""
    if _is_list(kind):
        return "pixels in lists are not read: save encoded images (`datasets`: the feature Image), or a npz"
    return ""


def _is_list(kind: Any) -> bool:
    types = arrow().types
    if isinstance(kind, arrow().ExtensionType):
        return _is_list(kind.storage_type)
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _label(table: _Table, chosen: str | None, image: str) -> str:
    if chosen is not None:
        if chosen not in table.fields:
            raise InvalidInput.at("/label", _absent(table, chosen))
        return chosen
    stated = {name for name, feature in table.features.items() if feature.get("_type") == "ClassLabel"}
    found = [name for name in table.fields if name != image and (name in stated or name.casefold() in _LABELS)]
    if len(found) > 1:
        names = " and ".join(map(printable, found))
        raise _wrong(table.shard, f"has several columns of labels, {names}: set `label` to one of them")
    if not found:
        raise _wrong(table.shard, f"has no column of labels with a usual name, but {table.listed}: set `label`")
    return found[0]


def _described(table: _Table, image: str, label: str | None) -> TableColumns:
    unread = tuple(name for name in table.fields if name not in (image, label))
    if label is None:
        return TableColumns(image, None, None, unread)
    kind = table.fields[label]
    if _is_list(kind):
        message = f"column {printable(label)} holds lists of labels; an image has one class"
        raise _wrong(table.shard, f"{message}: choose another column by `label`")
    if label == image or not _is_of_labels(kind):
        message = f"column {printable(label)} holds {str(kind)[:60]}; labels are whole numbers or names"
        raise _wrong(table.shard, message)
    return TableColumns(image, label, _class_names(table, label), unread)


def _is_of_labels(kind: Any) -> bool:
    types = arrow().types
    if types.is_dictionary(kind):
        return _is_of_labels(kind.value_type)
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    is_number = types.is_integer(kind) or types.is_boolean(kind) or types.is_floating(kind)
    return bool(is_text or is_number or types.is_null(kind))


def _class_names(table: _Table, label: str) -> tuple[str, ...] | None:
    """Return the declared names of the labels 0, 1, ... Raises InvalidInput."""
    feature = table.features.get(label, {})
    names = feature.get("names")
    if feature.get("_type") != "ClassLabel" or names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _wrong(table.shard, f"declares names of the classes of {printable(label)} that are no list of texts")
    strange: Sequence[str] = [name for name in names if not name.strip() or not name.isprintable()]
    if strange:
        raise _wrong(table.shard, f"declares the class {strange[0]!a}, which is empty or cannot be printed")
    if len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise _wrong(table.shard, f"declares the class {again!a} twice: give each class a name of its own")
    return tuple(names)


def _absent(table: _Table, name: str) -> str:
    return f"{printable(table.shard.name)} has no column {printable(name)}, but {table.listed}"


def _wrong(shard: Shard, message: str, pointer: str = "/path") -> InvalidInput:
    return InvalidInput.at(pointer, f"{printable(shard.name)} {message}")

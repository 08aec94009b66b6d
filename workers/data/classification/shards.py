"""The Parquet or Arrow files of a dataset: which of them are read, and the split that each belongs to.

The split is in the name of the file (`train-00000-of-00002.parquet`, `cifar10-test.arrow`) or of a folder around it
(`train/0000.parquet`). A folder with a `state.json` of Hugging Face `datasets` consists of the files that it lists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, content_of, open_confined
from workers.data.imagefiles import Roots, printable
from workers.data.notes import listed, note
from workers.data.options import existing
from workers.data.splits import SplitName, split_of
from workers.data.walk import contents_of

ENDINGS: Final = (".parquet", ".arrow")
INFO: Final = "dataset_info.json"
_STATE: Final = "state.json"
_DESCRIPTIONS: Final = (INFO, _STATE, "dataset_dict.json")
"""Files of `datasets` beside its data, in json."""
_SHARD: Final = re.compile(r"-(\d{4,6})-of-(\d{4,6})$")
_LARGEST_JSON: Final = 2**26


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of rows, and its path within the folder of the dataset."""

    path: Path
    name: str
    within: Roots

    @property
    def head(self) -> str:
        """Name of the file without its ending, and without its number among the files of the split."""
        return _SHARD.sub("", self.path.stem)

    @property
    def place(self) -> tuple[int, int] | None:
        """Number of the file and number of files of the split, if the name states them."""
        found = _SHARD.search(self.path.stem)
        return None if found is None else (int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Shards:
    """The files of each split, sorted by name; `train` is always there."""

    splits: Mapping[SplitName, tuple[Shard, ...]]
    descriptions: tuple[Path, ...]
    """Files of json that the classes depend on."""
    notes: tuple[str, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        return (*(one.path for shards in self.splits.values() for one in shards), *self.descriptions)


def shards_of(path: str, within: Roots) -> Shards:
    """Find the files of a dataset at the path of a file or a folder.

    Raises InvalidInput that says what to do if there are none, or it is not clear which belong together.
    """
    if not Path(path).expanduser().is_dir():
        file = existing(path, folder=False, within=within)
        shard = Shard(file, file.name, within)
        return Shards({"train": (shard,)}, _descriptions([file.parent]), _missing("train", [shard]))
    root = existing(path, folder=True, within=within)
    contents = contents_of(root, within)
    tables = [one for one in contents.others if one.suffix.lower() in ENDINGS]
    others = [one for one in contents.files if one not in set(tables) and one.name not in _DESCRIPTIONS]
    states = {one.parent: _listed_files(one, within) for one in contents.others if one.name == _STATE}
    outside = [one for one in tables if one.name not in states.get(one.parent, {one.name})]
    shards = [
        Shard(one, name, within)
        for one, name in zip(tables, contents.names(tables), strict=True)
        if one not in set(outside)
    ]
    if absent := [str(folder / name) for folder, names in states.items() for name in names - _names(tables, folder)]:
        raise _wrong(f"{printable(min(absent))} is missing, which {_STATE} beside it lists")
    if not shards:
        raise _wrong(f"{printable(root)} holds no file that ends in {' or '.join(ENDINGS)}")
    splits, notes = _by_split(root, shards)
    folders = dict.fromkeys(one.path.parent for some in splits.values() for one in some)
    unread = note(
        contents.names(others),
        "file is not Parquet or Arrow and is not read",
        "files are not Parquet or Arrow and are not read",
    )
    stale = note(
        contents.names(outside),
        f"file is not listed in {_STATE} and is not read",
        f"files are not listed in {_STATE} and are not read",
    )
    return Shards(splits, _descriptions(folders), (*notes, *unread, *stale))


def read_json(path: Path, within: Roots) -> Any:
    """Return the content of a description in json. Raises InvalidInput."""
    try:
        with open_confined(path, within) as file:
            content = content_of(file, _LARGEST_JSON)
        if content is None:
            raise _wrong(f"{printable(path)} has more than {_LARGEST_JSON:,} bytes")
        return json.loads(content)
    except UnsafeFile as error:
        raise _wrong(f"{printable(path)} is not read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise _wrong(f"{printable(path)} is no json: {printable(error)}") from None


def _descriptions(folders: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(folder / INFO for folder in folders if (folder / INFO).is_file())


def _names(files: Sequence[Path], folder: Path) -> set[str]:
    return {one.name for one in files if one.parent == folder}


def _listed_files(state: Path, within: Roots) -> set[str]:
    """Return the names of the files that a `state.json` lists. Raises InvalidInput."""
    content = read_json(state, within)
    files = content.get("_data_files") if isinstance(content, dict) else None
    if not isinstance(files, list):
        raise _wrong(f"{printable(state)} lists no `_data_files`, as the state of a dataset of `datasets` does")
    if any(content.get(key) for key in ("_indices_files", "_indices_data_files")):
        raise _wrong(f"{printable(state)} selects some of the rows: save the dataset after `flatten_indices()`")
    names = [one.get("filename") if isinstance(one, dict) else None for one in files]
    plain = {name for name in names if isinstance(name, str) and name and "/" not in name and "\0" not in name}
    if len(plain) != len(names):
        raise _wrong(f"{printable(state)} lists something else than names of files")
    return plain


def _by_split(root: Path, shards: Sequence[Shard]) -> tuple[dict[SplitName, tuple[Shard, ...]], tuple[str, ...]]:
    """Return the files of each split, and notes on those of none."""
    found = {shard: _split_of(shard) for shard in shards}
    if not any(found.values()):
        _check_together("train", shards, by_name=True)
        return {"train": tuple(shards)}, _missing("train", shards)
    parts: dict[SplitName, tuple[Shard, ...]] = {}
    order: tuple[SplitName, ...] = ("train", "validation", "test")
    for split in order:
        own = [shard for shard in shards if found[shard] == split]
        if own:
            _check_together(split, own, by_name=any(_named(one.head) for one in own))
            parts[split] = tuple(own)
    if "train" not in parts:
        others = listed([one.name for one in shards])
        message = f"{printable(root)} has no file of the split train beside {others}"
        raise _wrong(f"{message}: to split the images of a file, set `path` to it")
    unknown = [shard.name for shard in shards if found[shard] is None]
    gaps = tuple(line for split, own in parts.items() for line in _missing(split, own))
    unread = note(unknown, "file is of no known split and is not read", "files are of no known split and are not read")
    return parts, (*unread, *gaps)


def _split_of(shard: Shard) -> SplitName | None:
    """Return the split that a file belongs to by its name or its folders. Raises InvalidInput if they say several."""
    parts = [shard.head, *reversed(Path(shard.name).parent.parts)]
    whole = {split for part in parts if (split := split_of(part)) is not None}
    splits = whole or next(filter(None, map(_named, parts)), set())
    if len(splits) > 1:
        raise _wrong(f"{printable(shard.name)} is called like the splits {' and '.join(sorted(splits))}: rename it")
    return next(iter(splits), None)


def _named(part: str) -> set[SplitName]:
    """Return the splits that the words of a name mean."""
    return {split for word in re.split(r"[\W_]+|\d+", part) if (split := split_of(word)) is not None}


def _check_together(split: SplitName, shards: Sequence[Shard], *, by_name: bool) -> None:
    """Raise InvalidInput if the files of a split are not the parts of a single table."""
    kinds: dict[object, Shard] = {}
    for one in shards:
        count = None if one.place is None else one.place[1]
        head = re.sub(r"[-_.]?\d+$", "", one.head) if by_name else ""
        kinds.setdefault((one.path.parent, one.path.suffix.lower(), count, head), one)
    if len(kinds) > 1:
        names = " and ".join(printable(one.name) for one in list(kinds.values())[:2])
        message = f"{names} are both of the split {split}, but not parts of one table"
        raise _wrong(f"{message}: set `path` to one of them or its folder, or name them train, validation and test")


def _missing(split: str, shards: Sequence[Shard]) -> tuple[str, ...]:
    """Return a note on the files that are missing by the numbers in the names."""
    places = [one.place for one in shards if one.place is not None]
    if not places or len(places) < len(shards):
        return ()
    total = max(count for _, count in places)
    absent = total - len({number for number, _ in places})
    if absent <= 0:
        return ()
    names = listed([one.name for one in shards])
    return (f"{absent:,} of {total:,} files of the split {split} are missing; there are {names}",)


def _wrong(message: str) -> InvalidInput:
    return InvalidInput.at("/path", message)

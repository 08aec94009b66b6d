"""Identical images of a classification dataset: in two splits, in two classes, or twice in a split.

Images that have files are compared by the bytes of their files, of which only those of equal size are read; images in
memory are compared by their pixels.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from searchsvc.files import open_confined
from workers.data.dataset import Split, SplitFiles
from workers.data.leakage import digest_of
from workers.data.notes import note

MOST_BYTES = 4 * 2**30
"""Limit of the bytes read to compare files."""
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class _SplitImage:
    """An image of a split, and something that is equal for identical images only."""

    split: str
    name: str
    label: int
    content: Hashable


def duplicates(splits: Mapping[str, Split], most_bytes: int = MOST_BYTES) -> tuple[str, ...]:
    """Return notes on the identical images of a dataset's splits, by name. Raises OSError if a file cannot be read."""
    files = {name: part.files for name, part in splits.items() if part.files is not None}
    if len(files) < len(splits):
        arrays = {name: part.images for name, part in splits.items() if isinstance(part.images, np.ndarray)}
        contents: Mapping[str, Sequence[Hashable]] = {
            name: [digest_of(image) for image in images] for name, images in arrays.items()
        }
    else:
        sizes = {name: [path.stat().st_size for path in part.paths] for name, part in files.items()}
        shared = {
            size for size, count in Counter(size for some in sizes.values() for size in some).items() if count > 1
        }
        total = sum(size for some in sizes.values() for size in some if size in shared)
        if total > most_bytes:
            what = f"{total / 2**30:.1f} GiB of files have the size of another file"
            return (f"identical images are not searched for: {what}, and the limit is {most_bytes / 2**30:.1f} GiB",)
        contents = {name: _contents(part, sizes[name], shared) for name, part in files.items()}
    return _notes(
        _SplitImage(split, name, int(label), content)
        for split, some in contents.items()
        for name, label, content in zip(splits[split].named(range(len(some))), splits[split].labels, some, strict=True)
    )


def _contents(files: SplitFiles, sizes: Sequence[int], shared: set[int]) -> list[Hashable]:
    """Return a digest of each file whose size is shared, and the path of every other file."""
    paths = zip(files.paths, sizes, strict=True)
    return [_digest(files, place) if size in shared else str(path) for place, (path, size) in enumerate(paths)]


def _digest(files: SplitFiles, place: int) -> bytes:
    content = hashlib.blake2b(digest_size=16)
    with open_confined(files.paths[place], files.within) as file:
        while chunk := file.read(_CHUNK):
            content.update(chunk)
    return content.digest()


def _notes(images: Iterable[_SplitImage]) -> tuple[str, ...]:
    same: dict[Hashable, list[_SplitImage]] = {}
    for image in images:
        same.setdefault(image.content, []).append(image)
    groups = [group for group in same.values() if len(group) > 1]
    return (*_between_splits(groups), *_within_splits(groups), *_between_classes(groups))


def _between_splits(groups: Sequence[Sequence[_SplitImage]]) -> Iterable[str]:
    """Yield a note for each two splits that share images."""
    for first, second in combinations(("train", "validation", "test"), 2):
        pairs = []
        for group in groups:
            there = next((one for one in group if one.split == first), None)
            if there is not None:
                pairs += [f"{one.name} (in {first} {there.name})" for one in group if one.split == second]
        words = f"also in {first}, which makes the metrics on {second} too good"
        yield from note(pairs, f"image of {second} is {words}", f"images of {second} are {words}")


def _within_splits(groups: Sequence[Sequence[_SplitImage]]) -> Iterable[str]:
    for split in ("train", "validation", "test"):
        again = []
        for group in groups:
            first, *others = [one for one in group if one.split == split] or [group[0]]
            again += [f"{one.name} (as {first.name})" for one in others]
        words = f"the copy of another image of {split}", f"copies of other images of {split}"
        yield from note(again, f"image is {words[0]}", f"images are {words[1]}")


def _between_classes(groups: Sequence[Sequence[_SplitImage]]) -> Iterable[str]:
    mixed = [group for group in groups if len({one.label for one in group}) > 1]
    pairs = []
    for first, *others in mixed:
        other = next(one for one in others if one.label != first.label)
        pairs.append(f"{first.name} ({first.split}) and {other.name} ({other.split})")
    yield from note(pairs, "image is in two classes", "images are in two classes each")

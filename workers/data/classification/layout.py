"""The class folders of an image folder: directly in it, or in folders of its splits, or a few levels deeper.

A folder is a split if it is called like one (`workers.data.splits`) and its images are in class folders. Trees that can
be understood in two ways are refused, and the option `splits` decides: a class may be called `train`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchsvc.errors import InvalidInput
from workers.data.imagefiles import printable
from workers.data.notes import listed, note
from workers.data.splits import SplitName, split_of
from workers.data.walk import FolderContents

_LEVELS = 5
"""Most folders around the folders of the classes or splits, as in `ILSVRC/Data/CLS-LOC`."""


@dataclass(frozen=True, slots=True)
class FolderLayout:
    """The folders whose folders are the classes, by split; `train` is always there."""

    splits: Mapping[SplitName, Path]
    notes: tuple[str, ...]


def layout_of(contents: FolderContents, splits: bool | None) -> FolderLayout:
    """Find the class folders. `splits`: whether folders called like a split are splits; None: judge by what they hold.

    Raises InvalidInput that says what to do if there are no class folders, or it is not clear which folders they are.
    """
    if splits is False:
        return _Tree(contents, splits).classes(contents.root, ())
    return _Tree(contents, splits).found(contents.root, (), _LEVELS)


@dataclass(frozen=True, slots=True)
class _Tree:
    contents: FolderContents
    splits: bool | None

    def found(self, folder: Path, notes: tuple[str, ...], levels: int) -> FolderLayout:
        """Return the layout of a folder, or of the folder in it that holds the whole dataset."""
        inner = [one for one in self.contents.folders[folder] if self._count(one)]
        named = [one for one in self.contents.folders[folder] if split_of(one.name)]
        if named:
            return self._with_splits(folder, inner, named, notes)
        around = [one for one in inner if any(split_of(deeper.name) for deeper in self._inner(one))]
        alone = len(inner) == 1 and not self.contents.counts[folder]
        if alone and self._inner(inner[0]) and not self.contents.counts[inner[0]] and levels:
            note_on_depth = f"the dataset is read from the folder {self._name(inner[0])}"
            return self.found(inner[0], (*notes[:-1], note_on_depth), levels - 1)
        if around:
            raise self._unclear_depth(around[0])
        return self.classes(folder, notes)

    def classes(self, folder: Path, notes: tuple[str, ...]) -> FolderLayout:
        """Return the layout of a folder whose folders are classes."""
        self._check_class_folders(folder)
        return FolderLayout({"train": folder}, (*notes, *self._loose(folder)))

    def _with_splits(
        self, folder: Path, inner: Sequence[Path], named: Sequence[Path], notes: tuple[str, ...]
    ) -> FolderLayout:
        """Return the layout of a folder with folders that are called like splits."""
        others = [one for one in inner if one not in named]
        holding = [one for one in named if self.contents.folders[one]]
        if self.splits is None and others and (not holding or len(holding) == 1):
            if self._is_class(named):
                return self.classes(folder, (*notes, self._read_as_class(named[0])))
            raise self._unclear_names(named, others)
        if not holding:
            raise InvalidInput.at("/path", f"{_printed(named)} in {printable(folder)} {self._no_classes(len(named))}")
        parts = self._unique(holding)
        if "train" not in parts:
            first = self._name(next(iter(parts.values())))
            message = f"{printable(folder)} has no folder train beside {_printed(holding)}"
            raise InvalidInput.at("/path", f"{message}: to split the images of {first}, set `path` to that folder")
        unlabelled = [self._name(one) for one in named if one not in holding]
        unread = [self._name(one) for one in others]
        return FolderLayout(
            parts,
            (
                *notes,
                *note(
                    unlabelled, "split without class folders is not read", "splits without class folders are not read"
                ),
                *note(unread, "folder beside the splits is not read", "folders beside the splits are not read"),
                *(sentence for part in (folder, *parts.values()) for sentence in self._loose(part)),
            ),
        )

    def _unique(self, folders: Sequence[Path]) -> dict[SplitName, Path]:
        """Return the folder of each split, within a folder of the same name if that is all that it holds."""
        parts: dict[SplitName, Path] = {}
        for folder in folders:
            split = split_of(folder.name)
            assert split is not None
            if split in parts:
                message = f"{self._name(parts[split])} and {self._name(folder)} are both called like the {split} split"
                raise InvalidInput.at("/path", f"{message}: merge them, or move one out of the folder")
            parts[split] = self._unwrapped(folder, split)
        return parts

    def _unwrapped(self, folder: Path, split: SplitName) -> Path:
        inner = self.contents.folders[folder]
        if len(inner) == 1 and split_of(inner[0].name) == split and self.contents.folders[inner[0]]:
            return inner[0]
        return folder

    def _is_class(self, named: Sequence[Path]) -> bool:
        """Return whether a folder can only be a class: `train`, the vehicle, holds nothing but images."""
        return len(named) == 1 and split_of(named[0].name) == "train" and not self.contents.folders[named[0]]

    def _inner(self, folder: Path) -> list[Path]:
        """Return the folders in a folder that hold images."""
        return [one for one in self.contents.folders[folder] if self._count(one)]

    def _count(self, folder: Path) -> int:
        return self.contents.images_below(folder)

    def _name(self, folder: Path) -> str:
        return self.contents.names([folder])[0]

    def _loose(self, folder: Path) -> Iterator[str]:
        """Yield a note on the images in a folder of class folders."""
        if self.contents.counts[folder]:
            loose = [one for one in self.contents.images if one.parent == folder]
            words = "lies beside the class folders and is not read", "lie beside the class folders and are not read"
            yield from note(self.contents.names(loose), f"image {words[0]}", f"images {words[1]}")

    def _check_class_folders(self, folder: Path) -> None:
        if not self.contents.folders[folder]:
            count = self.contents.counts[folder]
            held = f"holds {count:,} image(s) and no folder" if count else "has no folder"
            message = f"{printable(folder)} {held}; it needs one per class, with the images of that class"
            raise InvalidInput.at("/path", f"{message}, or a table of files and labels (format csv)")

    def _read_as_class(self, folder: Path) -> str:
        return f"the folder {self._name(folder)} holds no class folders: it is read as a class, not as a split"

    def _no_classes(self, count: int) -> str:
        hold = "holds" if count == 1 else "hold"
        move = "move the images of each class into a folder of its own, as in train/cat"
        return f"{hold} images without class folders: {move}, or list files and labels in a table (format csv)"

    def _unclear_names(self, named: Sequence[Path], others: Sequence[Path]) -> InvalidInput:
        are = "is called like a split" if len(named) == 1 else "are called like splits"
        message = f"{_printed(named)} {are}, and {_printed(others)} beside {'it' if len(named) == 1 else 'them'} not"
        ways = "set `splits: true` to read the splits only, or `splits: false` if each of these folders is a class"
        return InvalidInput.at("/path", f"{message}: {ways}")

    def _unclear_depth(self, folder: Path) -> InvalidInput:
        name = self._name(folder)
        inner = listed([one.name for one in self._inner(folder) if split_of(one.name)])
        ways = f"set `path` to {printable(folder)} if these are the splits of the dataset"
        message = f"the folder {name} holds folders called like splits ({inner}): {ways}"
        classes = f"or `splits: false` if {name} is a class with all images below it"
        return InvalidInput.at("/path", f"{message}, {classes}; folders of splits belong above those of classes")


def _printed(folders: Sequence[Path]) -> str:
    return listed([one.name for one in folders])

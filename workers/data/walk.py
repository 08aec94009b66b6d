"""The files below a folder: images, other files, and what is passed over. Links are followed, loops detected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from searchsvc.errors import InvalidInput
from searchsvc.files import EntryKind, FolderEntry, UnsafeFile, list_confined
from workers.data.imagefiles import Roots, printable
from workers.data.imagemodes import has_image_ending, has_other_image_ending
from workers.data.notes import note

_SYSTEM: Final = frozenset(
    {
        "#recycle",
        "$recycle.bin",
        "@eadir",
        "@recycle",
        "__macosx",
        "__pycache__",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)
_MOST_VISITS, _DEEPEST = 64, 64
"""Most visits of a folder through links, and most levels of folders: more are a maze of links, of exponential size."""


@dataclass(slots=True)
class FolderContents:
    """Everything below a folder, sorted by the parts of the paths, which begin with the folder's own path."""

    root: Path
    images: list[Path] = field(default_factory=list)
    """Files with the ending of an image that is decoded."""
    undecoded: list[Path] = field(default_factory=list)
    """Files with the ending of an image of another format."""
    others: list[Path] = field(default_factory=list)
    """Files with another ending."""
    folders: dict[Path, list[Path]] = field(default_factory=dict)
    """The folders in each folder, at any depth."""
    counts: Counter[Path] = field(default_factory=Counter)
    """Number of images in each folder, without those in the folders below it."""
    hidden: list[Path] = field(default_factory=list)
    """Hidden and system files and folders, which are not entered."""
    loops: list[Path] = field(default_factory=list)
    """Links to a folder that contains them, which are not entered."""
    dead: list[Path] = field(default_factory=list)
    """Links that lead nowhere, pipes, sockets and devices."""

    @property
    def files(self) -> list[Path]:
        """All files but hidden ones."""
        return [*self.images, *self.undecoded, *self.others]

    def names(self, paths: list[Path]) -> list[str]:
        """Return paths relative to the folder."""
        return [path.relative_to(self.root).as_posix() for path in paths]

    def images_below(self, folder: Path) -> int:
        """Return the number of images in a folder, at any depth."""
        return self.counts[folder] + sum(map(self.images_below, self.folders[folder]))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that count and name everything but images and folders."""
        return tuple(
            sentence
            for paths, one, many in (
                (
                    self.undecoded,
                    "image is of a format that is not read (save it as PNG)",
                    "images are of formats that are not read (save them as PNG)",
                ),
                (self.others, "file is not an image and is not read", "files are not images and are not read"),
                (self.hidden, "hidden or system entry is passed over", "hidden or system entries are passed over"),
                (
                    self.loops,
                    "link to a folder around it is passed over",
                    "links to folders around them are passed over",
                ),
                (self.dead, "entry is a dead link or no plain file", "entries are dead links or no plain files"),
            )
            for sentence in note(self.names(paths), one, many)
        )


def is_passed_over(name: str) -> bool:
    """Return whether a file or a folder of this name is hidden, or made by an operating system or a tool."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def contents_of(folder: Path, within: Roots = None) -> FolderContents:
    """Return everything below a folder, with links followed.

    Raises InvalidInput that names a folder which leads out of the folders `within`, or through a maze of links, and
    OSError if a folder cannot be read.
    """
    found = FolderContents(folder)
    _Walk(found, within).enter(folder, ())
    return found


def files_below(folder: Path, within: Roots = None) -> Iterator[Path]:
    """Yield all images below a folder, sorted. Raises as `contents_of`."""
    yield from contents_of(folder, within).images


@dataclass(slots=True)
class _Walk:
    found: FolderContents
    within: Roots
    visits: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Number of visits of each folder, by device and number."""

    def enter(self, folder: Path, around: tuple[tuple[int, int], ...]) -> None:
        """Add what is in a folder; `around` are the folders that it is in."""
        status = folder.stat()
        this = status.st_dev, status.st_ino
        if this in around:
            self.found.loops.append(folder)
            return
        self.visits[this] += 1
        if self.visits[this] > _MOST_VISITS:
            raise InvalidInput.at("/path", f"links lead round and round to {printable(folder)}: remove some of them")
        if len(around) > _DEEPEST:
            raise InvalidInput.at("/path", f"{printable(folder)} lies more than {_DEEPEST} folders deep")
        inner = self.found.folders[folder] = []
        for entry in self._entries(folder):
            path = folder / entry.name
            if is_passed_over(entry.name):
                self.found.hidden.append(path)
            elif entry.kind is EntryKind.FOLDER:
                self.enter(path, (*around, this))
                if path in self.found.folders:  # not a loop
                    inner.append(path)
            elif entry.kind is EntryKind.OTHER:
                self.found.dead.append(path)
            elif has_image_ending(entry.name):
                self.found.images.append(path)
                self.found.counts[folder] += 1
            else:
                (self.found.undecoded if has_other_image_ending(entry.name) else self.found.others).append(path)

    def _entries(self, folder: Path) -> list[FolderEntry]:
        try:
            return list_confined(folder, self.within)
        except UnsafeFile as error:
            raise InvalidInput.at("/path", f"{printable(folder)} is not read: {error.strerror}") from None

"""Files that somebody else may have placed: opened without following links out of the folder that they belong to.

Workers write logs and artifacts, users write datasets, and the service hands their bytes to clients. A link, a pipe or
a device in place of a file must never make it read anything else.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from io import BufferedReader
from pathlib import Path, PurePath

_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
"""Flags that open a folder to look up names in it, which needs no permission to list it."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # opening a pipe would otherwise wait for a writer
_LINK_IN_PATH = (errno.ELOOP, errno.EMLINK, errno.ENOTDIR)


class EntryKind(Enum):
    """The kind of a folder's entry, with links followed."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"
    """A pipe, a socket, a device, or a link that leads nowhere."""


@dataclass(frozen=True, slots=True, order=True)
class FolderEntry:
    """A name in a folder."""

    name: str
    kind: EntryKind = field(compare=False)


class UnsafeFile(OSError):
    """The path leads out of its folder, or to something other than a plain file. `strerror` says which."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(errno.EPERM, reason, str(path))


def open_below(root: Path, relative: str | PurePath) -> BufferedReader:
    """Open the plain file at a path below `root`, none of whose components is a link; `root` itself may be a link.

    A file with further hard links is refused too: it may be a private file of the service under a second name. Raises
    FileNotFoundError, UnsafeFile and other kinds of OSError.
    """
    return _open_below(root, relative, has_one_name=True)


def open_confined(path: Path, roots: Sequence[str | Path] | None) -> BufferedReader:
    """Open a plain file, following links as long as they lead to a file below one of `roots`; None: to any file.

    Raises FileNotFoundError, UnsafeFile and other kinds of OSError.
    """
    if roots is None:
        return _plain(os.open(path, _FILE & ~os.O_NOFOLLOW), path)
    root, relative = _confined(path, roots, "file")
    return _open_below(root, relative, has_one_name=False)


def content_of(file: BufferedReader, most: int) -> bytes | None:
    """Return the bytes of an open file, or None if there are more than `most`.

    A read of `most` bytes would reserve that much memory, however small the file is.
    """
    if os.fstat(file.fileno()).st_size > most:
        return None
    content = file.read()
    return content if len(content) <= most else None


def list_confined(path: Path, roots: Sequence[str | Path] | None) -> list[FolderEntry]:
    """Return the entries of a folder, sorted by name, under the rule of `open_confined`.

    Raises FileNotFoundError, UnsafeFile and other kinds of OSError.
    """
    if roots is None:
        with os.scandir(path) as entries:
            return _listed(entries)
    root, relative = _confined(path, roots, "folder")
    with _descended(root, relative.parts, root / relative) as folder:
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        try:
            with os.scandir(descriptor) as entries:
                return _listed(entries)  # links are looked up in the open folder
        finally:
            os.close(descriptor)


def is_confined(path: Path, roots: Sequence[str | Path] | None) -> bool:
    """Return whether a path lies below one of `roots` after every link has been followed; None: anywhere."""
    return roots is None or any(Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)) for root in roots)


def _confined(path: Path, roots: Sequence[str | Path], kind: str) -> tuple[Path, Path]:
    """Return the root that a path leads below with links followed, and the path from there. Raises UnsafeFile."""
    target = Path(os.path.realpath(path))
    for root in map(os.path.realpath, roots):
        if target.is_relative_to(root):
            return Path(root), target.relative_to(root)
    raise UnsafeFile(path, f"it leads out of {' and '.join(map(str, roots))}: put a copy of the {kind} there")


def _listed(entries: Iterable[os.DirEntry[str]]) -> list[FolderEntry]:
    return sorted(FolderEntry(entry.name, _entry_kind(entry)) for entry in entries)


def _entry_kind(entry: os.DirEntry[str]) -> EntryKind:
    try:
        if entry.is_dir():
            return EntryKind.FOLDER
        return EntryKind.FILE if entry.is_file() else EntryKind.OTHER
    except OSError:  # a link to itself
        return EntryKind.OTHER


def _open_below(root: Path, relative: str | PurePath, *, has_one_name: bool) -> BufferedReader:
    path = PurePath(relative)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in str(path):
        raise UnsafeFile(root / path, "it is not the path of a file below its folder")
    try:
        with _descended(root, path.parts[:-1], root / path) as folder:
            _check_kind(os.stat(path.name, dir_fd=folder, follow_symlinks=False), root / path)
            descriptor = os.open(path.name, _FILE, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnsafeFile(root / path, "it is a symbolic link") from None
        raise
    return _plain(descriptor, root / path, has_one_name=has_one_name)


@contextmanager
def _descended(root: Path, names: Sequence[str], path: Path) -> Iterator[int]:
    """Open the folder at `names` below `root`, none of which may be a link; messages name `path`."""
    folder = os.open(root, _FOLDER)
    try:
        for name in names:
            inner = _folder_in(folder, name, path)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _folder_in(folder: int, name: str, path: Path) -> int:
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno in _LINK_IN_PATH:
            raise UnsafeFile(path, f"{name} on its path is no folder, or a symbolic link") from None
        raise


def _plain(descriptor: int, path: Path, *, has_one_name: bool = False) -> BufferedReader:
    """Return the file of a descriptor, which is closed if it is not a plain file."""
    try:
        status = os.fstat(descriptor)
        _check_kind(status, path)
        if has_one_name and status.st_nlink > 1:
            raise UnsafeFile(path, "it has several names (hard links), so it may be another program's file")
    except BaseException:
        os.close(descriptor)
        raise
    return open(path, "rb", opener=lambda *_: descriptor)


def _check_kind(status: os.stat_result, path: Path) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise UnsafeFile(path, "it is a symbolic link")
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFile(path, f"it is {_kind(status.st_mode)}, not a plain file")


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")

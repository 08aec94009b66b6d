"""Images of a folder, found by their names in annotations, which tools write in many ways."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote, urlsplit

from workers.data.detection.remarks import RemarkKind, Remarks
from workers.data.imagefiles import Roots
from workers.data.imagemodes import has_image_ending
from workers.data.walk import FolderContents, contents_of

_BACKSLASHES = RemarkKind("image is named with backslashes", "images are named with backslashes")
_ENCODED = RemarkKind("image's name is percent-encoded", "images' names are percent-encoded")
_ADDRESS = RemarkKind(
    "image is named by an address; its last part is used", "images are named by addresses; the last part is used"
)
_CASE = RemarkKind(
    "image's name differs from its file in upper and lower case or in accents",
    "images' names differ from their files in upper and lower case or in accents",
)
_ENDING = RemarkKind(
    "image is named without its file's ending, or with another",
    "images are named without their files' endings, or with others",
)
_FOLDER = RemarkKind(
    "image is found by the last part of its name, in another folder than named",
    "images are found by the last parts of their names, in other folders than named",
)


def _without_address(name: str) -> str:
    return PurePosixPath(urlsplit(name).path).name if "://" in name else name


_SPELLINGS: Final = (
    (_ADDRESS, _without_address),
    (_BACKSLASHES, lambda name: name.replace("\\", "/")),
    (_ENCODED, unquote),
)
"""Conversions of a name as written, tried one after the other, each on the result of the one before."""


def _path_key(name: str) -> str:
    return unicodedata.normalize("NFC", str(PurePosixPath(name))).casefold()


def _stem_key(name: str) -> str:
    path = PurePosixPath(_path_key(name))
    return str(path.with_suffix("")) if has_image_ending(path.name) else str(path)


def _base_key(name: str) -> str:
    return PurePosixPath(_path_key(name)).name


def _base_stem_key(name: str) -> str:
    return PurePosixPath(_stem_key(name)).name


_KEYS: Final = MappingProxyType({_path_key: _CASE, _stem_key: _ENDING, _base_key: _FOLDER, _base_stem_key: _FOLDER})
"""Ways to compare a name with the paths of a folder, the strictest first, each with the remark about it."""


def leads_out(name: str) -> bool:
    """Return whether a name is not the path of a file inside a folder."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts


class ImageFolder:
    """The images below a folder. A name that fits several of them equally well fits none."""

    def __init__(self, path: Path, within: Roots = None) -> None:
        self.path = path
        self._within = within
        self._indices: dict[Callable[[str], str], dict[str, Path | None]] = {}

    @cached_property
    def contents(self) -> FolderContents:
        """Everything below the folder. Raises InvalidInput as `contents_of`."""
        return contents_of(self.path, self._within)

    def find(self, name: str, remarks: Remarks) -> Path | None:
        """Return the image of a name; None if there is none. A conversion of the name is a remark."""
        for kinds, spelling in _spellings(name):
            if not leads_out(spelling) and (path := self.path / PurePosixPath(spelling)).is_file():
                for kind in kinds:
                    remarks.add(kind, name)
                return path
        for key, kind in _KEYS.items():
            if (found := self._index(key).get(key(spelling))) is not None:
                remarks.add(kind, name)
                return found
        return None

    def _index(self, key: Callable[[str], str]) -> dict[str, Path | None]:
        """Return the images by a key of their paths below the folder; None for several with the same key."""
        if key not in self._indices:
            index: dict[str, Path | None] = {}
            for path in self.contents.images:
                place = key(path.relative_to(self.path).as_posix())
                index[place] = None if place in index else path
            self._indices[key] = index
        return self._indices[key]


def _spellings(name: str) -> Iterator[tuple[tuple[RemarkKind, ...], str]]:
    """Yield the name as it is written, then after each conversion that changes it, with the remarks about these."""
    kinds: tuple[RemarkKind, ...] = ()
    yield kinds, name
    for kind, convert in _SPELLINGS:
        if (converted := convert(name)) != name:
            kinds, name = (*kinds, kind), converted
            yield kinds, name

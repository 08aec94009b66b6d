"""The files of annotations of a dataset's folder, and the folders of their images, as tools lay them out.

| layout | annotations | images |
|---|---|---|
| Roboflow | `train/_annotations.coco.json`, `valid/...`, `test/...` | in the same folders |
| COCO | `annotations/instances_train2017.json`, `annotations/instances_val2017.json` | `train2017/`, `val2017/` |
| CVAT, Label Studio, ... | `annotations/instances_default.json`, `result.json`, ... | `images/`, `data/` |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from searchsvc.errors import InvalidInput
from searchsvc.files import EntryKind, UnsafeFile, list_confined
from workers.data.detection.imagenames import ImageFolder, leads_out
from workers.data.detection.remarks import UNUSED_ANNOTATIONS, Remarks
from workers.data.imagefiles import Roots, printable
from workers.data.notes import listed
from workers.data.splits import SplitName, split_of
from workers.data.walk import is_passed_over

_FOLDERS: Final = frozenset({"annotations", "annotation", "labels"})
_IMAGE_FOLDERS: Final = ("images", "JPEGImages", "data", "imgs", "image")
_USUAL: Final = frozenset({"annotations", "annotation", "instances", "labels", "result", "coco", "default", "boxes"})
"""Words of names that files of annotations usually have."""
_SAMPLE = 100
"""Number of images that are looked for in a folder to judge whether it is theirs."""



@dataclass(frozen=True, slots=True)
class FileKind:
    """Files of annotations of a format."""

    ending: str
    foreign: tuple[str, ...] = ()
    """Beginnings of the names of files with this ending that are something else."""


def annotation_files(root: Path, kind: FileKind, within: Roots, remarks: Remarks) -> dict[SplitName, Path]:
    """Return the files of annotations below a folder by their splits; that of `train` may hold all images.

    Empty if there are none. Raises InvalidInput if several fit.
    """
    found: dict[SplitName | None, list[Path]] = {}
    others = []
    for path, folder_split in _candidates(root, within):
        if path.suffix.lower() != kind.ending:
            continue
        if path.name.casefold().startswith(kind.foreign or ("\0",)):
            others.append(path)
        else:
            found.setdefault(_split_in(path.stem) or folder_split, []).append(path)
    chosen = {split: _only(root, split, paths, remarks) for split, paths in found.items()}
    if "train" in chosen and None in chosen:
        others.append(chosen.pop(None))
    parts = _parts(root, chosen)
    remarks.add(UNUSED_ANNOTATIONS, *(path.relative_to(root).as_posix() for path in others))
    if not parts:
        return parts
    places = (f"{path.relative_to(root).as_posix()} ({split})" for split, path in parts.items())
    remarks.say(f"annotations are read from {', '.join(map(printable, places))}")
    return parts


def _parts(root: Path, chosen: Mapping[SplitName | None, Path]) -> dict[SplitName, Path]:
    own: dict[SplitName, Path] = {
        split: chosen[split] for split in ("train", "validation", "test") if split is not None and split in chosen
    }
    if None in chosen:
        return {"train": chosen[None], **own}
    if "train" in own or not own:
        return own
    if len(own) == 1:
        return {"train": next(iter(own.values()))}
    files = listed([path.relative_to(root).as_posix() for path in own.values()])
    raise InvalidInput.at("/annotations", f"there are {files}, but no file of images to train on: name it")


def files_of_kind(root: Path, kind: FileKind) -> list[Path]:
    """Return the files that may be annotations of a folder, whether or not they fit together; none if it is unreadable.
    """
    try:
        found = [path for path, _ in _candidates(root, None) if path.suffix.lower() == kind.ending]
    except (OSError, InvalidInput):
        return []
    return [path for path in found if not path.name.casefold().startswith(kind.foreign or ("\0",))]


def no_annotations(root: Path, kind: FileKind) -> InvalidInput:
    """Return the error about a folder without annotations."""
    places = "there, in `annotations` and in folders of splits"
    message = f"there is no file of annotations (*{kind.ending}) in {printable(root)}: looked {places}"
    return InvalidInput.at("/annotations", f"{message}; name it")


def _candidates(root: Path, within: Roots) -> Iterator[tuple[Path, SplitName | None]]:
    """Yield the files of a folder, of its folders of annotations, and of its folders of splits, with their splits."""
    for path, is_folder in entries_of(root, within):
        if not is_folder:
            yield path, None
        elif (split := split_of(path.name)) is not None or path.name.casefold() in _FOLDERS:
            for inner, inner_is_folder in entries_of(path, within):
                if not inner_is_folder:
                    yield inner, split


def entries_of(folder: Path, within: Roots) -> Iterator[tuple[Path, bool]]:
    """Yield the entries of a folder that are not passed over, and whether they are folders."""
    try:
        entries = list_confined(folder, within)
    except UnsafeFile as error:
        raise InvalidInput.at("/path", f"{printable(folder)} is not read: {error.strerror}") from None
    for entry in entries:
        if not is_passed_over(entry.name) and entry.kind is not EntryKind.OTHER:
            yield folder / entry.name, entry.kind is EntryKind.FOLDER


def split_on_path(path: Path, root: Path) -> SplitName | None:
    """Return the split that the first folder with such a name means, on the way from `root` to a file; None if none."""
    return next((split for part in path.relative_to(root).parts[:-1] if (split := split_of(part))), None)


def without_train(files: str) -> InvalidInput:
    """Return the error about splits without images to train on."""
    return InvalidInput.at("/path", f"there are {files} but no images to train on: name their folder `train`")


def _split_in(name: str) -> SplitName | None:
    """Return the split that a word of a name means; None if none does, or several do."""
    splits = {split_of(word) for word in _words(name)} - {None}
    return splits.pop() if len(splits) == 1 else None


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", name.casefold())


def _only(root: Path, split: SplitName | None, paths: Sequence[Path], remarks: Remarks) -> Path:
    """Return the only file, or the only one with a usual name. Raises InvalidInput that names several."""
    usual = [path for path in paths if _USUAL & set(_words(path.stem))]
    fitting = usual if len(usual) == 1 else paths
    if len(fitting) > 1:
        names = listed([path.relative_to(root).as_posix() for path in fitting])
        raise InvalidInput.at("/annotations", f"{names} may be annotations{f' of {split}' if split else ''}: name one")
    remarks.add(UNUSED_ANNOTATIONS, *(path.relative_to(root).as_posix() for path in paths if path not in fitting))
    return fitting[0]


# ---- folders of images -----------------------------------------------------------------------------------------------


def image_folder(root: Path, annotations: Path, split: SplitName, names: Sequence[str], within: Roots) -> ImageFolder:
    """Return the folder that holds most of the named images. Raises InvalidInput if none holds any."""
    step = max(1, len(names) // _SAMPLE)
    sample = names[::step]
    folders = [ImageFolder(path, within) for path in dict.fromkeys(_image_folders(root, annotations, split, within))]
    held = [sum(_holds(folder, name) for name in sample) for folder in folders]
    if max(held):
        return folders[held.index(max(held))]
    quiet = Remarks()  # the remarks belong to the search that follows
    for folder in folders:
        if any(folder.find(name, quiet) for name in sample):
            return folder
    places = ", ".join(folder.path.relative_to(root).as_posix() for folder in folders)
    message = f"the images of {printable(annotations)}, such as {printable(names[0])}, are in none of {places}"
    raise InvalidInput.at("/annotations", f"{message}: name their folder")


def _holds(folder: ImageFolder, name: str) -> bool:
    return not leads_out(name) and (folder.path / name).is_file()


def _image_folders(root: Path, annotations: Path, split: SplitName, within: Roots) -> Iterator[Path]:
    """Yield the folders that may hold the images of annotations, the likeliest first."""
    folders = [path for path, is_folder in entries_of(root, within) if is_folder]
    if annotations.parent.name.casefold() not in _FOLDERS and annotations.parent != root:
        yield from (path for name in _IMAGE_FOLDERS if (path := annotations.parent / name).is_dir())
        yield annotations.parent
    own = re.sub(r"^(instances|annotations)_", "", annotations.stem)
    groups = [path for name in _IMAGE_FOLDERS if (path := root / name).is_dir()]
    for parent, inner in [
        (root, folders),
        *((group, [path for path, is_folder in entries_of(group, within) if is_folder]) for group in groups),
    ]:
        yield from (path for path in inner if path.name == own and path.parent == parent)
        for path in inner:
            if split_of(path.name) == split:
                yield from (deeper for name in _IMAGE_FOLDERS if (deeper := path / name).is_dir())
                yield path
    yield from groups
    yield root

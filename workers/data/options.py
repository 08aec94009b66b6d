"""The options of the dataset section of a job's spec, and the contract of dataset formats."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from searchsvc.errors import InvalidInput
from searchsvc.files import is_confined
from workers.data.dataset import Labels
from workers.data.imagefiles import Roots
from workers.data.recognition import Recogniser

SMALLEST_SIDE, LARGEST_SIDE = 4, 512
IMAGES = "images"
"""The format of a section of images without labels, from which a student learns; no dataset has it."""
FAULTS_LISTED = 20
"""The most faults of the same kind that an error lists."""
UNKNOWN = -1
"""The label of an object or an image that belongs to none of the classes."""


class DatasetOptions(BaseModel):
    """Keys that every dataset section has."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    within: tuple[str, ...] | None = None
    """Folders that every file must lie below, with links followed; None: files may be anywhere.

    The service sets it to its data roots for a job that was submitted over REST.
    """


class SplitOptions(DatasetOptions):
    """Shares of the splits, and the least number of images per class."""

    name: Annotated[str, Field(min_length=1, max_length=128)] = "files"
    format: str
    path: Annotated[str, Field(min_length=1, max_length=4096)]
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the images outside the test split that the search measures on."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of all images that is reserved for the winners, unless the files have their own test split."""
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    min_images: Annotated[int, Field(ge=3)] = 5
    """Least number of images per class."""


class ImagesOptions(DatasetOptions):
    """All images below a folder, without labels."""

    name: Annotated[str, Field(min_length=1, max_length=128)] = "files"
    format: Literal["images"]
    path: Annotated[str, Field(min_length=1, max_length=4096)]
    memory_bytes: Annotated[int, Field(ge=0, le=2**50)] = 2**31
    """Largest size of the decoded images in memory."""


class ReassessedOptions(DatasetOptions):
    """Options of datasets whose images have a single class each."""

    reassessed: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """A file of label sets (`searchsvc.labels.files`) for the metric `real_accuracy`."""


OptionsT = TypeVar("OptionsT", bound=DatasetOptions)
RawT = TypeVar("RawT")


Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width) of an image."""


def _none(_: object) -> None:
    """Return None, for every option."""


def _no_options(_: Shape) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class DatasetFormat(Generic[OptionsT, RawT]):
    """Reads a kind of dataset; the last three members read its images without labels."""

    description: str
    options: type[OptionsT]
    read: Callable[[OptionsT], RawT]
    """Reads the files. Raises InvalidInput (pointers into the dataset section)."""
    fingerprint: Callable[[OptionsT], Hashable]
    """Returns a value that changes when the files do."""
    _: KW_ONLY
    paths: tuple[str, ...] = ("path",)
    """Options that name a separate file or folder, or, by a pattern such as `shard-*.tar`, files of a single folder.

    The service checks that they exist and may be read, and stores absolute paths.
    """
    fitted: Callable[[Shape], Mapping[str, Any]] = _no_options
    """Returns options that resize images to the given shape of a dataset's images."""
    unlabelled_folder: Callable[[OptionsT], ImagesOptions | None] = _none
    """Returns the folder of images without labels; None if the images are not in a folder, or have labels."""
    unlabelled_images: Callable[[OptionsT], NDArray[np.uint8] | None] = _none
    """Returns images without labels, (n, c, h, w); None if they have labels. Raises InvalidInput."""
    detect: Recogniser = _none
    """Returns the options of a section for a path that looks like this format, from names and headers only."""
    rank: int = 2
    """Closeness of the description: of the formats that recognise a path, the one of the highest rank is taken."""


def existing(path: str | Path, *, folder: bool, pointer: str = "/path", within: Roots = None) -> Path:
    """Return the path of a file (or a folder) below one of the folders `within`.

    Raises InvalidInput at `pointer`, the option, if it cannot be read or leads out of these folders.
    """
    location = Path(path).expanduser()
    if within is not None and not is_confined(location, within):
        raise InvalidInput.at(pointer, f"{path} is not read: it leads out of {' and '.join(within)}")
    try:
        if folder and location.is_dir():
            return location
        if not folder and location.is_file():
            return location
    except OSError as error:
        raise InvalidInput.at(pointer, f"{path} cannot be read: {error.strerror}") from error
    kind = "folder" if folder else "file"
    raise InvalidInput.at(pointer, f"there is no {kind} {path} on the machine that reads the dataset")


@contextmanager
def files_readable() -> Iterator[None]:
    """Turn an OSError into InvalidInput that names the file."""
    try:
        yield
    except OSError as error:
        raise InvalidInput.at("/path", f"{error.filename} cannot be read: {error.strerror}") from error


def nothing_left(fraction: float) -> InvalidInput:
    """Return the error of `unlabelled: rest` if the data fraction covers all training images."""
    message = f"no training image is left outside a data fraction of {fraction:g}"
    ways = "keep `fidelity.data_fraction` or the parameter `data_fraction` of self-trained trials below that"
    return InvalidInput.at("", f"{message}: {ways}, or name other images")


def stamps(files: Iterable[Path]) -> Hashable:
    """Return a value that changes when a file changes, is added or is removed."""
    stated = ((path, path.stat()) for path in files)
    return hash(tuple((str(path), status.st_mtime_ns, status.st_size) for path, status in stated))


def check_classes(labels: Labels, names: tuple[str, ...], least: int, where: str) -> None:
    """Raise InvalidInput if there are not two classes, or a class has fewer than `least` images."""
    if len(names) < 2:
        raise InvalidInput.at("/path", f"{where} has images of {len(names)} class(es); a classifier needs two or more")
    counts = {name: int((labels == index).sum()) for index, name in enumerate(names)}
    few = {name: count for name, count in counts.items() if count < least}
    if few:
        listed = ", ".join(f"{name} has {count}" for name, count in list(few.items())[:10])
        raise InvalidInput.at("/path", f"each class of {where} needs at least {least} images (min_images): {listed}")

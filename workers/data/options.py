"""The options of the dataset section of a job's spec, and the contract of dataset formats."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from searchsvc.errors import InvalidInput
from workers.data.dataset import Labels

SMALLEST_SIDE, LARGEST_SIDE = 4, 512
IMAGES = "images"
"""The format of a section of images without labels, which a student learns from; no dataset has it."""
UNKNOWN = -1
"""The label of an object or an image of none of the classes."""


class DatasetOptions(BaseModel):
    """Keys that every dataset has."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str


class SplitOptions(DatasetOptions):
    """How files are split, and how many images each class needs."""

    name: Annotated[str, Field(min_length=1, max_length=128)] = "files"
    format: str
    path: Annotated[str, Field(min_length=1, max_length=4096)]
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the images outside the test split that the search measures on."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of all images that is kept for the winners, unless the files have a test split of their own."""
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    min_images: Annotated[int, Field(ge=3)] = 5
    """Images that each class needs."""


class ImagesOptions(DatasetOptions):
    """All images below a folder, without labels."""

    name: Annotated[str, Field(min_length=1, max_length=128)] = "files"
    format: Literal["images"]
    path: Annotated[str, Field(min_length=1, max_length=4096)]
    memory_bytes: Annotated[int, Field(ge=0, le=2**50)] = 2**31
    """Decoded images that are kept in memory."""


class ReassessedOptions(DatasetOptions):
    """Options of datasets whose images have one class each."""

    reassessed: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """A file of label sets (`searchsvc.labels.files`) that `real_accuracy` is measured by."""


OptionsT = TypeVar("OptionsT", bound=DatasetOptions)
RawT = TypeVar("RawT")


Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width) of one image."""


def _none(_: object) -> None:
    """Return None, for every option."""


def _no_options(_: Shape) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class DatasetFormat(Generic[OptionsT, RawT]):
    """One way to read a dataset; the last three members say how images without labels are read."""

    description: str
    options: type[OptionsT]
    read: Callable[[OptionsT], RawT]
    """Raises InvalidInput (pointers into the dataset section)."""
    fingerprint: Callable[[OptionsT], Hashable]
    """Changes when the files do."""
    _: KW_ONLY
    paths: tuple[str, ...] = ("path",)
    """Options that name a file or a folder of their own, or, by a pattern such as `shard-*.tar`, files of one folder.

    The service checks that they exist and may be read, and stores where they are."""
    fitted: Callable[[Shape], Mapping[str, Any]] = _no_options
    """Options that turn images into those of a dataset with images of that shape."""
    unlabelled_folder: Callable[[OptionsT], ImagesOptions | None] = _none
    """Return the folder of images without labels; None if the images are not in a folder, or have labels."""
    unlabelled_images: Callable[[OptionsT], NDArray[np.uint8] | None] = _none
    """Return images without labels, (n, c, h, w); None if they have labels. Raises InvalidInput."""


def existing(path: str, *, folder: bool, pointer: str = "/path") -> Path:
    """Return the path of a file (or a folder). Raises InvalidInput at `pointer`, the option, if none can be read."""
    found = Path(path).expanduser()
    try:
        if folder and found.is_dir():
            return found
        if not folder and found.is_file():
            return found
    except OSError as error:
        raise InvalidInput.at(pointer, f"{path} cannot be read: {error.strerror}") from None
    kind = "folder" if folder else "file"
    raise InvalidInput.at(pointer, f"there is no {kind} {path} on the machine that reads the dataset")


def nothing_left(fraction: float) -> InvalidInput:
    """Return the error of `unlabelled: rest` if the data fraction covers all training images."""
    message = f"no training image is left beside a data fraction of {fraction:g}"
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

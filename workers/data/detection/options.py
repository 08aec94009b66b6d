"""Options that the file formats of detection share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field

from searchsvc.errors import InvalidInput
from workers.data.options import SplitOptions, existing

SMALLEST_SIDE, LARGEST_SIDE = 32, 2048
RelativePath: TypeAlias = Annotated[str, Field(min_length=1, max_length=4096)]


class BoxFilesOptions(SplitOptions):
    """Options of images with boxes in files."""

    size: Annotated[int, Field(ge=SMALLEST_SIDE, le=LARGEST_SIDE)] = 320
    """Side in px of the square into which images are fitted for a network."""
    memory_bytes: Annotated[int, Field(ge=0, le=2**50)] = 2**31
    """Largest size of the decoded images of a split in memory."""
    min_images: Annotated[int, Field(ge=1)] = 1
    """Least number of images per class among the images to split."""


def below(root: Path, path: str, option: str, options: BoxFilesOptions, *, folder: bool = False) -> Path:
    """Return the file (or folder) that an option names below `root`. Raises InvalidInput at the option."""
    location = root / path
    if Path(path).is_absolute() or ".." in Path(path).parts or "\0" in path:
        raise InvalidInput.at(f"/{option}", "must not lead out of the dataset's folder")
    if not (location.is_dir() if folder else location.is_file()):
        raise InvalidInput.at(f"/{option}", f"there is no {'folder' if folder else 'file'} {location}")
    return existing(location, folder=folder, pointer=f"/{option}", within=options.within)

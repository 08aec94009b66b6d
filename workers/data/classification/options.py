"""Options that formats of image files share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from workers.data.options import LARGEST_SIDE, SMALLEST_SIDE, ReassessedOptions, SplitOptions


class ImageFileOptions(SplitOptions, ReassessedOptions):
    """Options of formats whose images are files."""

    size: Annotated[int, Field(ge=SMALLEST_SIDE, le=LARGEST_SIDE)] = 32
    """Side in px to which images are resized."""
    color: bool = True
    """True: three channels; false: a grey channel."""
    memory_bytes: Annotated[int, Field(ge=0, le=2**50)] = 2**31
    """Largest size of the decoded images of a split in memory; larger splits are decoded during training."""

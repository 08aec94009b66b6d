"""Images of a dataset for display."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workers.data.imagemodes import pillow

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


def shown(image: NDArray[np.uint8], peak: int) -> PillowImage:
    """Return (c, h, w) as an image: in colour if c is 3, otherwise the first channel in grey. `peak` becomes white."""
    pixels = image.transpose(1, 2, 0) if len(image) == 3 else image[0]  # (h, w, 3) or (h, w)
    lighter = pixels * np.uint16(255 // max(1, peak))  # uint16: may exceed 255
    picture: PillowImage = pillow().fromarray(np.minimum(lighter, 255).astype(np.uint8))
    return picture


def png(image: NDArray[np.uint8], peak: int) -> bytes:
    """Encode (c, h, w), in the colours of `shown`."""
    buffer = io.BytesIO()
    shown(image, peak).save(buffer, "PNG")
    return buffer.getvalue()

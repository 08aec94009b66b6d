"""Encodes images of a dataset for display."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray


def png(image: NDArray[np.uint8], peak: int) -> bytes:
    """Encode (c, h, w), in colour if c is 3, otherwise the first channel in grey. `peak` becomes white."""
    from PIL import Image

    pixels = image.transpose(1, 2, 0) if len(image) == 3 else image[0]  # (h, w, 3) or (h, w)
    lighter = pixels * np.uint16(255 // max(1, peak))  # uint16: may exceed 255
    shown = Image.fromarray(np.minimum(lighter, 255).astype(np.uint8))
    buffer = io.BytesIO()
    shown.save(buffer, "PNG")
    return buffer.getvalue()

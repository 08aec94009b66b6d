"""Checks that no training image is also used for evaluation, by comparing pixels, not file names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput

Pixels = Iterable[NDArray[np.uint8]]
"""Images, (c, h, w) each."""
_NAMED = 5
"""Number of images that a message names."""


def check_apart(images: Pixels, names: Sequence[str], held_out: Mapping[str, Pixels]) -> None:
    """Raise InvalidInput if an image is also in a split used for evaluation. `names` are the names of `images`."""
    where = {digest_of(image): split for split, measured in held_out.items() for image in measured}
    digests = ((name, digest_of(image)) for name, image in zip(names, images, strict=True))
    leaks = [(name, where[digest]) for name, digest in digests if digest in where]
    if leaks:
        listed = ", ".join(f"{name} (in {split})" for name, split in leaks[:_NAMED])
        message = f"{len(leaks)} image(s) are also in a split that is measured on, which would leak: {listed}"
        raise InvalidInput.at("", f"{message}; remove them")


def digest_of(image: NDArray[np.uint8]) -> bytes:
    """Return a hash of the shape and the pixels of an image (c, h, w)."""
    content = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    content.update(np.ascontiguousarray(image).data)
    return content.digest()

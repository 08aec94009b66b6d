"""Checksums of files, which identify the weights that a spec refers to."""

from __future__ import annotations

import hashlib
from io import BufferedReader
from pathlib import Path


def sha256_of(source: Path | BufferedReader) -> str:
    """Return the SHA-256 of the content of a file, or of an open file from its position, in hex digits.

    Raises OSError.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return sha256_of(file)
    return hashlib.file_digest(source, "sha256").hexdigest()

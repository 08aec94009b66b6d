"""Checkpoints, which are written and read completely or not at all.

`last.pt` is a torch archive followed by its SHA-256. A truncated or changed file counts as absent: the trial starts
over, which costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

LAST = "last.pt"
_DIGEST_BYTES = 32


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old file or the new file, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_parts(directory: Path) -> None:
    """Remove partial files of writers that were killed."""
    for path in directory.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def save(directory: Path, state: dict[str, Any]) -> None:
    """Store `state` (tensors, numbers, texts, lists and dicts of them) as the last checkpoint."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    write_atomically(directory / LAST, content + hashlib.sha256(content).digest())


def load(directory: Path, device: torch.device) -> dict[str, Any] | None:
    """Return the last checkpoint, or None if there is none or it is damaged."""
    try:
        stored = (directory / LAST).read_bytes()
    except FileNotFoundError:
        return None
    content, digest = stored[:-_DIGEST_BYTES], stored[-_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    return state

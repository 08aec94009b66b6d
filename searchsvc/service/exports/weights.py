"""`weights`: the trained network of one trial, as the safetensors file that the trial made."""

from __future__ import annotations

import hashlib
from pathlib import Path

from searchsvc.errors import Conflict, NotFound
from searchsvc.service.exports.source import Source

FILE = "model.safetensors"
_CHUNK_BYTES = 1 << 20


def write(source: Source, path: Path) -> None:
    """Copy the weights, and check that they are what the trial wrote. Raises NotFound, Conflict."""
    chosen = source.one_trial()
    artifact = next((one for one in source.store.artifacts(chosen.id) if one.name == FILE), None)
    if artifact is None:
        raise NotFound(f"trial {chosen.number} of job {source.job.name} has no weights (it is {chosen.state})")
    stored = source.artifacts_dir / artifact.path
    if not stored.is_file():
        raise NotFound(f"the weights of trial {chosen.number} are not at {stored} any more")
    digest = hashlib.sha256()
    with stored.open("rb") as original, path.open("wb") as copy:
        while chunk := original.read(_CHUNK_BYTES):
            digest.update(chunk)
            copy.write(chunk)
    if digest.hexdigest() != artifact.sha256:
        raise Conflict(f"the weights at {stored} are damaged: their checksum is not the one that was stored")

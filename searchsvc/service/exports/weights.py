"""`weights`: the trained network of one trial, as the safetensors file that the trial made."""

from __future__ import annotations

import hashlib
from pathlib import Path

from searchsvc.domain import Job, Trial
from searchsvc.errors import Conflict, NotFound
from searchsvc.service.results import one_or_best
from searchsvc.store import Store

FILE = "model.safetensors"
_CHUNK_BYTES = 1 << 20


def write(store: Store, job: Job, trial: Trial | None, path: Path) -> None:
    """Copy the weights, and check that they are what the trial wrote. Raises NotFound, Conflict."""
    chosen = one_or_best(store, job, trial)
    artifact = next((one for one in store.artifacts(chosen.id) if one.name == FILE), None)
    if artifact is None:
        raise NotFound(f"trial {chosen.number} of job {job.name} has no weights (it is {chosen.state})")
    digest = hashlib.sha256()
    if not Path(artifact.path).is_file():
        raise NotFound(f"the weights of trial {chosen.number} are not at {artifact.path} any more")
    with Path(artifact.path).open("rb") as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
    if digest.hexdigest() != artifact.sha256:
        raise Conflict(f"the weights at {artifact.path} are damaged: their checksum is not the one that was stored")

"""`weights`: the trained network of a trial, as the safetensors file that the trial wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

from searchsvc.checksums import sha256_of
from searchsvc.domain import Trial
from searchsvc.errors import Conflict, NotFound
from searchsvc.service.exports.source import Source

FILE = "model.safetensors"


def write(source: Source, path: Path) -> None:
    """Copy the weights and verify the checksum of the copy. Raises NotFound, Conflict."""
    chosen = source.single_trial()
    original, sha256 = stored(source, chosen)
    shutil.copyfile(original, path)
    _check(path, sha256, original)


def check(source: Source, trial: Trial) -> None:
    """Raise NotFound or Conflict if the weights of the trial are missing or damaged."""
    original, sha256 = stored(source, trial)
    _check(original, sha256, original)


def stored(source: Source, trial: Trial) -> tuple[Path, str]:
    """Return the file with the weights and its stored SHA-256. Raises NotFound."""
    artifact = next((record for record in source.store.artifacts(trial.id) if record.name == FILE), None)
    if artifact is None:
        raise NotFound(f"trial {trial.number} of job {source.job.name} has no weights (it is {trial.state})")
    path = source.artifacts_dir / artifact.path
    if not path.is_file():
        raise NotFound(f"the weights of trial {trial.number} are not at {path} any more")
    return path, artifact.sha256


def _check(path: Path, sha256: str, original: Path) -> None:
    if sha256_of(path) != sha256:
        raise Conflict(f"the weights at {original} are damaged: their checksum is not the one that was stored")

"""`weights`: the trained network of a trial, as the safetensors file that the trial wrote."""

from __future__ import annotations

from pathlib import Path

from searchsvc.domain import Artifact, Trial
from searchsvc.errors import NotFound
from searchsvc.service.exports import artifacts
from searchsvc.service.exports.source import Source

FILE = "model.safetensors"


def write(source: Source, path: Path) -> None:
    """Copy the weights and verify the checksum of the copy. Raises NotFound, Conflict."""
    artifacts.copy(source.artifacts_dir, stored(source, source.single_trial()), path)


def checked(source: Source, trial: Trial) -> tuple[Path, str]:
    """Return the file with the weights and its SHA-256. Raises NotFound, and Conflict if the file is damaged."""
    artifact = stored(source, trial)
    artifacts.check(source.artifacts_dir, artifact)
    return source.artifacts_dir / artifact.path, artifact.sha256


def stored(source: Source, trial: Trial) -> Artifact:
    """Return the record of the weights. Raises NotFound."""
    artifact = next((record for record in source.store.artifacts(trial.id) if record.name == FILE), None)
    if artifact is None:
        raise NotFound(f"trial {trial.number} of job {source.job.name} has no weights (it is {trial.state})")
    return artifact

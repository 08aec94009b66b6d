"""The files that trials have stored, opened safely: a worker may have put anything in their place."""

from __future__ import annotations

import logging
import shutil
from io import BufferedReader
from pathlib import Path

from searchsvc import files
from searchsvc.checksums import sha256_of
from searchsvc.domain import Artifact
from searchsvc.errors import Conflict, NotFound

log = logging.getLogger(__name__)


def opened(artifacts_dir: Path, artifact: Artifact) -> BufferedReader:
    """Open the file of an artifact. Raises NotFound if it is missing, or something else is in its place."""
    try:
        return files.open_below(artifacts_dir, artifact.path)
    except FileNotFoundError:
        raise NotFound(f"{artifact.name} is not at {artifacts_dir / artifact.path} any more") from None
    except OSError as error:
        reason = error.strerror or str(error)
        log.warning("%s is not read: %s", artifacts_dir / artifact.path, reason)
        raise NotFound(f"{artifact.name} at {artifacts_dir / artifact.path} is not read: {reason}") from None


def check(artifacts_dir: Path, artifact: Artifact) -> None:
    """Raise NotFound if the file is missing, and Conflict if its content is not the one that was stored."""
    with opened(artifacts_dir, artifact) as file:
        _check_digest(sha256_of(file), artifact, artifacts_dir)


def copy(artifacts_dir: Path, artifact: Artifact, destination: Path) -> None:
    """Copy the file and verify the checksum of the copy. Raises NotFound and Conflict, as `check` does."""
    with opened(artifacts_dir, artifact) as file, destination.open("wb") as target:
        shutil.copyfileobj(file, target)
    _check_digest(sha256_of(destination), artifact, artifacts_dir)


def _check_digest(sha256: str, artifact: Artifact, artifacts_dir: Path) -> None:
    if sha256 != artifact.sha256:
        path = artifacts_dir / artifact.path
        raise Conflict(f"the file at {path} is damaged: its checksum is not the one that was stored")

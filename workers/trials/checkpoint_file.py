"""The file of a checkpoint, `last.pt`, and the files of the best step that belong to it. Depends on no torch.

::

    content │ JSON of BestFiles │ its length, 8 bytes │ MARK │ SHA-256 of everything before

The checkpoint names the files of the best step with their digests, so that both switch in a single step:

1. the files are written under names of their step, such as `.best-3-model.safetensors`;
2. the checkpoint that names them replaces the previous checkpoint;
3. the files are renamed to their final names, such as `model.safetensors`, and other files of steps are removed.

Whatever a kill interrupts, `settle` completes step 3 for the checkpoint that exists. So the files of a step whose
checkpoint was never written do not outlive it. A file of an earlier version is its content and the SHA-256 alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from searchsvc.checksums import sha256_of
from workers.trials.files import write_atomically

CHECKPOINT = "last.pt"
_MARK = b"bestfile"
_DIGEST_BYTES, _LENGTH_BYTES = 32, 8
_OF_STEP = re.compile(r"\.best-\d+-.+")


@dataclass(frozen=True, slots=True)
class BestFiles:
    """The files of the best step so far."""

    step: int = 0
    digests: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each file, by its final name."""


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """The content of a checkpoint file that is undamaged."""

    content: bytes
    best: BestFiles | None
    """None: the file was written by an earlier version, or by a task that uses another format."""


def write(directory: Path, content: bytes, best: BestFiles) -> None:
    """Replace the checkpoint in a directory."""
    manifest = json.dumps(asdict(best)).encode()
    sealed = content + manifest + len(manifest).to_bytes(_LENGTH_BYTES, "big") + _MARK
    write_atomically(directory / CHECKPOINT, sealed + hashlib.sha256(sealed).digest())


def read(directory: Path) -> CheckpointFile | None:
    """Return the checkpoint in a directory; None if it is absent or damaged."""
    try:
        stored = (directory / CHECKPOINT).read_bytes()
    except FileNotFoundError:
        return None
    sealed, digest = stored[:-_DIGEST_BYTES], stored[-_DIGEST_BYTES:]
    if hashlib.sha256(sealed).digest() != digest:
        return None
    if not sealed.endswith(_MARK):
        return CheckpointFile(sealed, None)
    end = len(sealed) - len(_MARK) - _LENGTH_BYTES
    start = end - int.from_bytes(sealed[end : end + _LENGTH_BYTES], "big")
    return CheckpointFile(sealed[:start], BestFiles(**json.loads(sealed[start:end])))


def of_step(directory: Path, step: int, name: str) -> Path:
    """Return the path of a file of the best step until its checkpoint is written."""
    return directory / f".best-{step}-{name}"


def settle(directory: Path, best: BestFiles) -> None:
    """Give the files of the best step their final names, and remove files of steps that are not in the checkpoint."""
    for name in best.digests:
        path = of_step(directory, best.step, name)
        if path.is_file():
            os.replace(path, directory / name)
    for path in directory.iterdir():
        if _OF_STEP.fullmatch(path.name):
            path.unlink(missing_ok=True)


def damaged(directory: Path, best: BestFiles) -> str | None:
    """Return the name of a file of the best step that is missing or has another digest; None if there is none."""
    for name, digest in best.digests.items():
        actual = _digest(of_step(directory, best.step, name)) or _digest(directory / name)
        if actual != digest:
            return name
    return None


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file, or None if there is no such file: another process may rename it at any moment."""
    try:
        return sha256_of(path)
    except FileNotFoundError:
        return None

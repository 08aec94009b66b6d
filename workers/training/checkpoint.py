"""The checkpoint of a training, and the files of its best step: both are read as they were at the same step, or not.

A checkpoint that is damaged, or whose files are damaged, counts as absent: the trial starts over, which costs time and
nothing else. `workers.trials.checkpoint_file` describes the file and the order of the writes.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from workers.trials import checkpoint_file
from workers.trials.checkpoint_file import BestFiles
from workers.trials.files import remove_parts, write_atomically


class Checkpoints:
    """The checkpoint in a directory, which a single process writes and several may read."""

    def __init__(self, directory: Path, *, writes: bool = True) -> None:
        """`writes`: this process writes. Then the directory is created, and partial files of killed writers go."""
        self._directory, self._writes, self._best = directory, writes, BestFiles()
        if writes:
            directory.mkdir(parents=True, exist_ok=True)
            remove_parts(directory)

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Return the last state, or None if there is none or it is damaged.

        If this process writes, the directory then has the files of the best step that belong to that state.
        """
        stored = checkpoint_file.read(self._directory)
        best = stored.best if stored else None
        if best is not None and checkpoint_file.damaged(self._directory, best):
            stored = best = None
        self._best = best or BestFiles()
        if self._writes:
            checkpoint_file.settle(self._directory, self._best)
        if stored is None:
            return None
        state: dict[str, Any] = torch.load(io.BytesIO(stored.content), map_location=device, weights_only=True)
        return state

    def save(self, state: dict[str, Any], step: int, files: Mapping[str, bytes] | None) -> None:
        """Store `state` (tensors, numbers, texts, lists and dicts of them) as the last checkpoint.

        `files`: contents by name if the step is the best so far; None if the files of an earlier step remain.
        """
        before = self._best
        if files is not None:
            for name, content in files.items():
                write_atomically(checkpoint_file.of_step(self._directory, step, name), content)
            self._best = BestFiles(step, {name: hashlib.sha256(file).hexdigest() for name, file in files.items()})
        buffer = io.BytesIO()
        torch.save(state, buffer)
        checkpoint_file.write(self._directory, buffer.getvalue(), self._best)
        checkpoint_file.settle(self._directory, self._best)
        for name in before.digests.keys() - self._best.digests.keys():
            (self._directory / name).unlink(missing_ok=True)

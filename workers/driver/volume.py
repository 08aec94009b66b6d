"""The volume of the artifacts: after a failure of storage, no trial starts until the volume can be written again.

::

    attempt fails as STORAGE ──> reason ──probe fails──> probe again in PROBE_SECONDS
                                   └──probe writes──> trials start; if they fail as STORAGE again before any succeeds,
                                                      the next pause is twice as long

Probes have a thread of their own, since a file system may hang.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from workers.trials.files import to_disk

PROBE_SECONDS = 3.0
LONGEST_PAUSE_SECONDS = 60.0
_PROBE_BYTES = 64 * 2**10
_SPARE = 2
"""A checkpoint is written next to its predecessor: the volume needs room for this many of the largest file."""

Suspect = tuple[str | None, int]
"""The node of an attempt that failed, and the number of its trial."""


def _in_background(action: Callable[[], None]) -> None:
    threading.Thread(target=action, name="probe", daemon=True).start()


class ArtifactsVolume:
    """Tracks whether trials can write. Only `_watch` runs in the thread of the probes."""

    def __init__(
        self,
        folder: Path,
        *,
        run: Callable[[Callable[[], None]], None] = _in_background,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`folder`: the folder of the job. `run` runs the probes; `sleep` waits between them."""
        self._folder, self._run, self._sleep = folder, run, sleep
        self._reason: str | None = None
        self._failures = 0
        """Failures that followed a working probe, with no success since."""
        self._suspects: list[Suspect] = []
        self._blamed: list[Suspect] = []

    @property
    def reason(self) -> str | None:
        """The reason why no trial may start, or None."""
        return self._reason

    def failed(self, trial_id: str, message: str, *, suspect: Suspect) -> None:
        """Note that an attempt could not write; no trial may start until a probe has written."""
        self._suspects.append(suspect)
        if self._reason is not None:
            return  # probes are under way
        pause = min(PROBE_SECONDS * 2 ** (self._failures - 1), LONGEST_PAUSE_SECONDS) if self._failures else 0.0
        self._failures += 1
        last_line = (message.strip().splitlines() or ["no reason is known"])[-1]
        self._reason = f"a trial could not write its files: {last_line}"
        if pause:
            self._reason += f"; the artifacts volume works on the driver's host, so trials start again in {pause:g} s"
        self._run(lambda: self._watch(self._folder / trial_id, pause))

    def succeeded(self) -> None:
        """Note that an attempt has ended with its files written."""
        self._failures = 0

    def suspects(self) -> list[Suspect]:
        """Return the attempts that failed although the volume worked on this host, each of them once."""
        blamed, self._blamed = self._blamed, []
        return blamed

    def _watch(self, trial_folder: Path, pause: float) -> None:
        """Probe until the volume can be written; then trials may start."""
        self._sleep(pause)
        was_broken = False
        while (reason := _why_not(self._folder, trial_folder)) is not None:
            was_broken, self._reason = True, reason
            self._sleep(PROBE_SECONDS)
        suspects, self._suspects = self._suspects, []
        if was_broken:
            self._failures = 0
        else:
            self._blamed = [*self._blamed, *suspects]
        self._reason = None


def _why_not(folder: Path, trial_folder: Path) -> str | None:
    """Return the reason why a trial's files cannot be written to a folder, or None after a write that succeeded."""
    try:
        _write(folder)
        needed, free = _SPARE * _largest(trial_folder), free_bytes(folder)
    except OSError as error:
        return f"the artifacts volume cannot be written: {folder}: {error.strerror or error}{_free(folder)}"
    if free < needed:
        return f"the artifacts volume is full: {folder} has {free:,} bytes free, and a trial needs {needed:,}"
    return None


def _write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".probe.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        path.write_bytes(os.urandom(_PROBE_BYTES))
        to_disk(path)
    finally:
        path.unlink(missing_ok=True)


def _largest(folder: Path) -> int:
    """Return the size of the largest file below a folder; 0 if there is none."""
    return max((path.stat().st_size for path in folder.rglob("*") if path.is_file()), default=0)


def free_bytes(folder: Path) -> int:
    """Return the free bytes of a folder's file system that processes without privileges may use."""
    space = os.statvfs(folder)
    return space.f_bavail * space.f_frsize


def _free(folder: Path) -> str:
    try:
        return f"; {free_bytes(folder):,} bytes are free"
    except OSError:
        return ""

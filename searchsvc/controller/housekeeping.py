"""Housekeeping of a controller: work that nobody waits for, in a thread of its own.

Each task is short or in short steps, may be interrupted at any point, and may run in several controllers at once. An
error in a task is logged, and the task is tried again the next time.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from searchsvc.domain import is_id
from searchsvc.service.exports.export import remove_files
from searchsvc.service.system.removal import remove_deleted
from searchsvc.settings import Settings
from searchsvc.store import Store

EVERY_SECONDS = 60.0
SWEEP_EVERY_SECONDS = 6 * 3600.0
LARGEST_LOG_BYTES = 10_000_000

_DAY_SECONDS = 86_400.0
_IDS_AT_ONCE = 500
_END_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Housekeeping:
    """Removes old events and what is left of deleted jobs, and keeps logs short."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._settings = store, settings
        self._clock, self._monotonic = clock, monotonic
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._next = self._next_sweep = float("-inf")
        self._events_position = 0
        self.errors = 0
        """Number of tasks that failed."""

    def poke(self) -> None:
        """Start the tasks in a thread if it is time. Returns at once, and raises nothing."""
        if self._monotonic() < self._next or (self._thread is not None and self._thread.is_alive()):
            return
        self._next = self._monotonic() + EVERY_SECONDS
        thread = threading.Thread(target=self.run, name="housekeeping", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the limit of threads
            _log.warning("housekeeping: %s", error)
        else:
            self._thread = thread

    def run(self) -> None:
        """Run all tasks that are due, whatever becomes of each of them."""
        tasks = [self._rotate_logs, self._remove_deleted_jobs, self._forget_events, self._store.shorten_log]
        if self._monotonic() >= self._next_sweep:
            self._next_sweep = self._monotonic() + SWEEP_EVERY_SECONDS
            tasks.append(self._sweep)
        for task in tasks:
            if self._stop.is_set():
                return
            try:
                task()
            except Exception as error:  # noqa: BLE001 - the thread has no caller, and the next task is not to blame
                self.errors += 1
                _log.warning("housekeeping: %s: %s: %s", task.__name__, type(error).__name__, error)

    def close(self) -> None:
        """End the thread after the step that it is at."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)

    # ---- tasks -----------------------------------------------------------------------------------------------------

    def _rotate_logs(self) -> None:
        for log in sorted(self._settings.logs_dir.glob("*.log")):
            if not log.is_symlink():
                rotate(log)

    def _remove_deleted_jobs(self) -> None:
        """Remove deleted jobs part by part, and continue what a process that was killed has left."""
        remove_deleted(self._store, self._settings, self._stop.wait)

    def _forget_events(self) -> None:
        """Remove events that are older than the setting, step by step, so that others can write in between."""
        if self._settings.event_days is None:
            return
        before = self._clock() - self._settings.event_days * _DAY_SECONDS
        while not self._stop.is_set():
            position = self._store.forget_events(before, after=self._events_position)
            if position is None:
                return
            self._events_position = position

    def _sweep(self) -> None:
        """Remove the files of deleted jobs: a crash may have left them, or a worker may have made them again.

        Files of jobs that this database never held stay: they may be of another database, for example of an older
        backup or of the SQLite file from before a move to PostgreSQL.
        """
        strangers = 0
        ids = sorted(self._ids_of_files())
        for start in range(0, len(ids), _IDS_AT_ONCE):
            missing = self._store.missing_jobs(ids[start : start + _IDS_AT_ONCE])
            deleted = self._store.deleted_jobs(missing)
            for job_id in sorted(deleted):
                if self._stop.is_set():
                    return
                _log.info("job %s was deleted: its files are removed", job_id)
                remove_files(self._settings, job_id)
            strangers += len(missing) - len(deleted)
        if strangers:
            _log.warning(
                "%s holds files of %d jobs that this database never held; they stay", self._settings.data_dir, strangers
            )

    def _ids_of_files(self) -> set[str]:
        """Return the ids of jobs that have files."""
        folders = (self._settings.artifacts_dir, self._settings.logs_dir, self._settings.data_dir / "ray" / "tune")
        names = (path.name.split(".")[0] for folder in folders for path in _children(folder))
        return {name for name in names if is_id(name)}


def rotate(log: Path, largest_bytes: int = LARGEST_LOG_BYTES) -> None:
    """Move the text of a long log to `<name>.log.1`, while processes write to the log.

    The file stays the same, since processes append to it: its text is copied, and the file is emptied. Lines that are
    written in between are lost. Raises OSError if a link is in the place of the log.
    """
    with open(log, "r+b", opener=_without_links) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another controller is at it
        if os.fstat(file.fileno()).st_size <= largest_bytes:
            return
        copy = log.with_suffix(".log.1.new")
        with open(copy, "wb", opener=_without_links) as target:
            shutil.copyfileobj(file, target)
        copy.replace(log.with_suffix(".log.1"))
        file.truncate(0)


def _children(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)

"""Removal of files that no stored result needs: folders of earlier attempts, and checkpoints of finished trials.

A file is removed only after a flush has stored the outcome that makes it superfluous. Removal is best effort: errors
are logged, and a sweep at the start and at the end of a job repeats what was missed. It has a thread of its own, since
a file system may hang.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from searchsvc.domain import FileMade, Trial, is_id
from searchsvc.errors import SearchsvcError
from searchsvc.store import Store
from workers.trials import folders
from workers.trials.checkpoint_file import CHECKPOINT

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 10.0
"""Time for the last removals when a driver ends; the next sweep does the rest."""


class Leftovers(threading.Thread):
    """Removes superfluous files of a job's trials, in the order of the requests."""

    def __init__(self, folder: Path) -> None:
        """Create the thread. `folder`: the folder of the job."""
        super().__init__(name="leftovers", daemon=True)
        self._folder = folder
        self._removals: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def run(self) -> None:
        while (removal := self._removals.get()) is not None:
            try:
                removal()
            except (OSError, SearchsvcError):
                logger.exception("files of trials could not be removed")

    def close(self) -> None:
        """End the thread after the requests so far, unless they take too long."""
        self._removals.put(None)
        if self.is_alive():
            self.join(CLOSE_SECONDS)

    def continued(self, trial_id: str, attempt: int) -> None:
        """Request removal of the attempts before one that has stored a measurement: it has a checkpoint of its own."""
        self._removals.put(partial(_remove_earlier, self._folder / trial_id, attempt))

    def failed(self, trial_id: str, attempt: int) -> None:
        """Request removal of the attempts that the next attempt will not need, after one that is to be repeated."""
        self._removals.put(partial(_remove_unusable, self._folder / trial_id, attempt))

    def ended(self, trial_id: str, files: Iterable[FileMade]) -> None:
        """Request removal of everything but the files of a trial whose result is stored."""
        kept = next((made.folder for made in files), None)
        self._removals.put(partial(_keep_result, self._folder / trial_id, kept))

    def sweep(self, store: Store, job_id: str) -> None:
        """Request removal of all superfluous files of the job's trials."""
        self._removals.put(partial(self._sweep, store, job_id))

    def _sweep(self, store: Store, job_id: str) -> None:
        homes = {home.name: home for home in _homes(self._folder) if _may_have_leftovers(home)}
        if not homes:
            return
        results = {artifact.trial_id: _folder_of(artifact.path) for artifact in store.job_artifacts(job_id)}
        for trial in store.trials_with_ids(list(homes)):
            _clean(homes[trial.id], trial, results.get(trial.id))


def _homes(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if is_id(path.name)]
    except FileNotFoundError:
        return []


def _may_have_leftovers(home: Path) -> bool:
    attempts = folders.attempts_in(home)
    places = [*attempts, home]
    return (
        len(attempts) > 1
        or any((place / CHECKPOINT).exists() for place in places)
        or bool(attempts and folders.files_of_earlier_versions(home))
    )


def _folder_of(path: str) -> str:
    """Return the attempt's folder in the path of an artifact, `<job>/<trial>/<folder>/<name>`; empty if it has none."""
    return "/".join(path.split("/")[2:-1])


def _clean(home: Path, trial: Trial, kept: str | None) -> None:
    if trial.state.has_result:
        _keep_result(home, kept)
    elif trial.state.is_final:
        _remove_earlier(home, trial.attempts)


def _keep_result(home: Path, kept: str | None) -> None:
    """Remove checkpoints, and all folders but `kept`, by default the newest."""
    attempts = folders.attempts_in(home)
    if kept is None and attempts:
        kept = attempts[0].name
    result = home / kept if kept else home
    if not result.is_dir():
        raise FileNotFoundError(f"the folder {result} of a stored result is missing")
    for folder in attempts:
        if folder != result:
            _remove(folder)
    if result != home:
        _remove_files_of_earlier_versions(home)
    (result / CHECKPOINT).unlink(missing_ok=True)


def _remove_earlier(home: Path, attempt: int) -> None:
    """Remove the folders of attempts before `attempt`, if it has a folder."""
    attempts = folders.attempts_in(home)
    if not any(folders.number_of(folder.name)[0] >= attempt for folder in attempts):
        return
    for folder in attempts:
        if folders.number_of(folder.name)[0] < attempt:
            _remove(folder)
    _remove_files_of_earlier_versions(home)


def _remove_unusable(home: Path, attempt: int) -> None:
    """Remove all folders up to that of `attempt`, but the one whose files the next attempt takes over."""
    source = next(folders.usable(home), None)
    for folder in folders.attempts_in(home):
        number = folders.number_of(folder.name)[0]
        is_older = source is not None and source != home and number < folders.number_of(source.name)[0]
        if number <= attempt and (is_older or not folders.is_complete(folder)):
            _remove(folder)


def _remove_files_of_earlier_versions(home: Path) -> None:
    for path in folders.files_of_earlier_versions(home):
        _remove(path)


def _remove(path: Path) -> None:
    """Remove a file, or a folder with its content; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

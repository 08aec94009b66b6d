"""The folders of a trial's attempts.

::

    <job>/<trial>/trial.log
    <job>/<trial>/1/          attempt 1: checkpoint, files of the best step, folders of stages
    <job>/<trial>/2/          attempt 2 begins with the files of attempt 1

An attempt writes into its own folder only, so an attempt that goes on after it was given up changes nothing newer. The
folder is created exclusively: if a driver died before it had stored its last attempt, the next driver gives the number
again, and the second execution uses `2.1`. Files of an earlier version lie directly in the folder of the trial.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from searchsvc.domain.trial_task import FileMade, TrialTask
from workers.trials import checkpoint_file
from workers.trials.files import LOG, PARTS, home_of, to_disk

_TAKING_OVER = ".taking-over"
"""A file in a folder that has not received all files of the earlier attempt."""
_ATTEMPT = re.compile(r"([1-9]\d*)(?:\.([1-9]\d*))?")
_TRIES = 3
"""The earlier attempt may still run, and replace its files while they are copied."""


def begin(task: TrialTask) -> TrialTask:
    """Create the folder of an attempt with copies of an earlier attempt's files; return the task with that folder.

    Copies and not hard links: a task may change its files in place, and the service opens no file with two names.
    Raises OSError.
    """
    if task.trial_directory is None:
        Path(task.directory).mkdir(parents=True, exist_ok=True)
        return task
    sources = list(usable(home_of(task)))
    own = _created(Path(task.directory))
    if sources:
        _take_over(sources, own)
    return replace(task, directory=str(own))


def attempts_in(home: Path) -> list[Path]:
    """Return the folders of the attempts of a trial, the newest first."""
    try:
        folders = [path for path in home.iterdir() if _ATTEMPT.fullmatch(path.name) and path.is_dir()]
    except FileNotFoundError:
        return []
    return sorted(folders, key=lambda folder: number_of(folder.name), reverse=True)


def number_of(folder: str) -> tuple[int, int]:
    """Return the number of the attempt that a folder is named after, and of its execution under that number."""
    match = _ATTEMPT.fullmatch(folder)
    if match is None:
        raise ValueError(f"{folder!r} is not the name of a folder of an attempt")
    return int(match[1]), int(match[2] or 0)


def has_made(attempt: int, file: FileMade) -> bool:
    """True if a result file is in a folder of the attempt, or in that of the trial itself."""
    is_plain = "/" not in file.name and file.name not in ("", ".", "..")
    match = _ATTEMPT.fullmatch(file.folder)
    return is_plain and (not file.folder or (match is not None and int(match[1]) == attempt))


def files_of_earlier_versions(home: Path) -> list[Path]:
    """Return the files and folders that an earlier version stored directly in the folder of a trial."""
    try:
        return sorted(path for path in home.iterdir() if path.name != LOG and not _ATTEMPT.fullmatch(path.name))
    except FileNotFoundError:
        return []


def _created(folder: Path) -> Path:
    """Create the folder, or if it exists, a folder with the same number."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for execution in count():
        own = folder.with_name(f"{folder.name}.{execution}") if execution else folder
        try:
            own.mkdir()
        except FileExistsError:
            continue
        return own
    raise AssertionError("count() never ends")


def is_complete(folder: Path) -> bool:
    """True if an attempt's folder has received all files of the earlier attempt."""
    return not (folder / _TAKING_OVER).exists()


def usable(home: Path) -> Iterator[Path]:
    """Yield the folders whose files an attempt may take over, the best choice first.

    That is the newest with an undamaged checkpoint; then, since other tasks have checkpoints of their own format and
    stages have them in folders of their own, the newest with any file.
    """
    folders = [folder for folder in attempts_in(home) if is_complete(folder) and any(folder.iterdir())]
    if files_of_earlier_versions(home):
        folders.append(home)
    undamaged = next((folder for folder in folders if _is_undamaged(folder)), None)
    if undamaged is not None:
        yield undamaged
    yield from (folder for folder in folders if folder != undamaged)


def _is_undamaged(folder: Path) -> bool:
    stored = checkpoint_file.read(folder)
    return stored is not None and (stored.best is None or checkpoint_file.damaged(folder, stored.best) is None)


def _take_over(sources: Iterable[Path], own: Path) -> None:
    """Fill the folder with the files of the first source that lets them be copied; a marker shows that it is not full.
    """
    marker = own / _TAKING_OVER
    marker.touch()
    for source in sources:
        if _taken_over(source, own):
            break
    marker.unlink()
    to_disk(own)


def _taken_over(source: Path, own: Path) -> bool:
    """Fill the folder with the files of another. Return False if they did not stay the same for long enough."""
    expected = _is_undamaged(source)
    for _ in range(_TRIES):
        _take(files_of_earlier_versions(source) if source == own.parent else source.iterdir(), own)
        if not expected or _is_undamaged(own):
            return True
        _empty(own)
    return False


def _take(entries: Iterable[Path], own: Path) -> None:
    """Fill a folder with files and folders; links and partial files are left out."""
    for path in entries:
        if path.is_symlink() or path.match(PARTS):
            continue
        if path.is_dir():
            (own / path.name).mkdir()
            _take(path.iterdir(), own / path.name)
        elif path.is_file():
            _copy(path, own / path.name)


def _copy(path: Path, copy: Path) -> None:
    """Copy a file, unless it has vanished."""
    try:
        shutil.copyfile(path, copy, follow_symlinks=False)
    except FileNotFoundError:
        return
    to_disk(copy)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _TAKING_OVER:
            path.unlink()

"""Checks of everything that a task returns to its worker, before it is sent to the driver and stored."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from searchsvc.checksums import sha256_of
from searchsvc.domain.metrics import Measurement
from searchsvc.domain.records import Artifact
from searchsvc.errors import FailureKind, TrialFailed

_LARGEST_STEP = 2**31 - 1


def checked(measurement: object, *, task: str, after: int) -> Measurement:
    """Return a measurement with plain numbers.

    `task`: name of the task. `after`: step of the measurement before, or 0. Raises TrialFailed: DIVERGED if a metric
    is NaN or infinite, ERROR if the measurement is of another form.
    """
    if not isinstance(measurement, Measurement):
        raise _error(f"task {task!r} yielded {_described(measurement)}; it must yield a Measurement")
    step = _step(measurement.step, task)
    if step <= after:
        raise _error(f"task {task!r} measured step {step} after step {after}; steps must increase, from 1")
    seconds = _number(measurement.seconds)
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        shown = _described(measurement.seconds)
        raise _error(f"task {task!r} measured step {step} with seconds {shown}; they must be a number of at least 0")
    return Measurement(step, checked_metrics(measurement.metrics, task=task, place=f"at step {step}"), seconds)


def checked_metrics(metrics: object, *, task: str, place: str) -> dict[str, float]:
    """Return metrics as plain floats; `place` says which metrics they are, for messages. Raises TrialFailed."""
    if not isinstance(metrics, Mapping):
        raise _error(f"task {task!r} returned {_described(metrics)} as metrics {place}; it must be a mapping")
    return {_name(name, task, place): _value(name, value, task, place) for name, value in metrics.items()}


def checked_names(names: object, *, task: str) -> tuple[str, ...]:
    """Return the names of the files of a trial, each a plain file name. Raises TrialFailed (ERROR)."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise _error(f"task {task!r} returned {_described(names)} as names of files; it must be a tuple of texts")
    listed = tuple(names)
    for name in listed:
        if not isinstance(name, str) or not _is_plain(name):
            raise _error(f"task {task!r} names a file {_described(name)}; it must be a name in the trial's directory")
    return tuple(str(name) for name in listed)


def check_stored(directory: Path, files: Sequence[Artifact]) -> None:
    """Raise TrialFailed (ERROR) if a stored file is missing or its SHA-256 is not the stored one."""
    for file in files:
        path = directory / file.name
        if not path.is_file():
            raise _error(f"the stored file {path} is missing")
        if sha256_of(path) != file.sha256:
            raise _error(f"the stored file {path} is damaged: its SHA-256 is not the one that was stored")


def _step(step: object, task: str) -> int:
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise _error(f"task {task!r} measured step {_described(step)}; a step is a whole number")
    number = operator.index(step)
    if number > _LARGEST_STEP:
        raise _error(f"task {task!r} measured step {number:,}; at most {_LARGEST_STEP:,} can be stored")
    return number


def _name(name: object, task: str, place: str) -> str:
    """Return the name of a metric; databases cannot store control characters or half characters."""
    if not isinstance(name, str) or not name or not name.isprintable():
        shown = _described(name)
        raise _error(f"task {task!r} named a metric {shown} {place}; a name is a text of printable characters")
    return str(name)


def _value(name: object, value: object, task: str, place: str) -> float:
    number = _number(value)
    if number is None:
        raise _error(f"task {task!r} measured {name} = {_described(value)} {place}; a metric is a finite number")
    if not math.isfinite(number):
        raise TrialFailed(FailureKind.DIVERGED, f"{name} became {number} {place}")
    return number


def _number(value: object) -> float | None:
    """Return a number as a float: also of NumPy, or a tensor without dimensions. None if it is no number."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        value = item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _is_plain(name: str) -> bool:
    return name.isprintable() and name not in ("", ".", "..") and "/" not in name


def _described(value: object) -> str:
    """Return a short text of any value, with its type."""
    return f"{repr(value)[:80]} ({type(value).__name__})"


def _error(message: str) -> TrialFailed:
    return TrialFailed(FailureKind.ERROR, message)

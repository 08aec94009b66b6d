"""Calls to the code of a task, which may be a plug-in of anybody, and may fail in any way."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from searchsvc.errors import InvalidInput, SearchsvcError

_log = logging.getLogger(__name__)


@contextmanager
def task_call(name: str, call: str, pointer: str = "") -> Iterator[None]:
    """Turn an unexpected error of the task `name` into InvalidInput at `pointer`; the traceback goes to the log.

    The same call would fail again, so neither the service nor a driver retries it.
    """
    try:
        yield
    except (SearchsvcError, OSError, MemoryError):
        raise
    except Exception as error:
        _log.exception("the task %s failed in %s", name, call)
        message = f"the task {name} failed in {call}: {type(error).__name__}: {error}"
        raise InvalidInput.at(pointer, message) from error

"""A driver that imports everything and then waits for its job; the controller's Standby starts it."""

from __future__ import annotations

import importlib
import json
import os
import sys

_MODULES = ("searchsvc.service.planning.resolve", "workers.driver.connection", "workers.driver.job")


def wait() -> tuple[str, int] | None:
    """Return the job and the epoch of its lease once they arrive on stdin; None if the controller has ended.

    Afterwards, stdout and stderr of this process go to the job's log.
    """
    for module in _MODULES:
        importlib.import_module(module)
    line = sys.stdin.readline()
    if not line:
        return None
    message = json.loads(line)
    _redirect(sys.stdin.fileno(), os.devnull, os.O_RDONLY)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        _redirect(stream.fileno(), message["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    return message["job"], message["epoch"]


def _redirect(descriptor: int, path: str, flags: int) -> None:
    target = os.open(path, flags, 0o666)
    os.dup2(target, descriptor)
    os.close(target)

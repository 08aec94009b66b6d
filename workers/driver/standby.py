"""A driver that waits for its job, with everything imported: the controller's Standby is the other end."""

from __future__ import annotations

import importlib
import json
import os
import sys

_NEEDED = ("searchsvc.service.planning.resolve", "workers.driver.connection", "workers.driver.job")


def wait() -> tuple[str, int] | None:
    """The job and the epoch of its lease, once they are said; None where whoever started this process has ended.

    From then on the process writes into the job's log.
    """
    for module in _NEEDED:
        importlib.import_module(module)
    line = sys.stdin.readline()
    if not line:
        return None
    given = json.loads(line)
    _become(sys.stdin.fileno(), os.devnull, os.O_RDONLY)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        _become(stream.fileno(), given["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    return given["job"], given["epoch"]


def _become(descriptor: int, path: str, flags: int) -> None:
    opened = os.open(path, flags, 0o666)
    os.dup2(opened, descriptor)
    os.close(opened)

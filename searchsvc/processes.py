"""Programs of ours that run in processes of their own, and what they may import.

The folder in which a user calls searchctl may hold anything: a package called `workers`, a `random.py`, the metadata of
an old installation. It is on the import path of none of our programs (`-P`), and they run in another folder, because
Ray puts the working directory of a driver on the import path of its workers. Packages that the user names in PYTHONPATH
are found.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_LONGEST_TEMPORARY = 16


def program(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module of ours."""
    return [sys.executable, "-P", "-m", module, *arguments]


def temporary_folder() -> Path:
    """Return the folder for temporary files of Ray: that of TMPDIR, or `/tmp` if its path is long.

    Ray creates Unix sockets below it, whose paths are limited to 107 characters.
    """
    folder = tempfile.gettempdir()
    return Path(folder if len(folder) <= _LONGEST_TEMPORARY else "/tmp")  # noqa: S108 - the folders in it are private


def import_path(environment: Mapping[str, str]) -> dict[str, str]:
    """Return PYTHONPATH for a program that runs in another folder: absolute, and without empty entries.

    An empty entry, as in `PYTHONPATH=$UNSET:/packages`, would be the working directory.
    """
    entries = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, entries))} if entries else {}

"""The tests of mutants, in copies of the tree."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.mutation.groups import GROUPS, ROOT
from benchmarks.mutation.mutants import Mutant

_LEAST_SECONDS = 60.0
"""Time that the tests of a mutant have at least; otherwise, several times what they take without a fault."""
_PATIENCE = 4
_MARK = "SEARCHSVC_MUTANTS"
"""Environment variable by which the processes of a run are recognised."""
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "site")
_SKIPPED = "not postgres and not slow and not gpu and not chaos"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a mutant's tests."""

    group: str
    mutant: Mutant
    killed: bool


def run(
    mutants: Sequence[tuple[str, Mutant]], limits: Mapping[str, float], copies: Sequence[Path], deadline: float
) -> Iterator[Verdict]:
    """Yield the verdicts on mutants, one at a time in each copy; none starts after the deadline (monotonic).

    `limits`: the seconds that the tests of a mutant have, by its group.
    """
    free: queue.Queue[Path] = queue.Queue()
    for copy in copies:
        free.put(copy)
    over = threading.Event()

    def judge(name: str, mutant: Mutant) -> Verdict | None:
        if over.is_set() or time.monotonic() > deadline:
            return None
        copy = free.get()
        try:
            return Verdict(name, mutant, _is_killed(name, mutant, copy, limits[name]))
        finally:
            free.put(copy)

    pool = ThreadPoolExecutor(len(copies))
    try:
        for verdict in pool.map(judge, *zip(*mutants, strict=True)):
            if verdict is not None:
                yield verdict
    finally:
        over.set()
        for copy in copies:
            end_processes(copy)
        pool.shutdown()


def _is_killed(name: str, mutant: Mutant, copy: Path, seconds: float) -> bool:
    path = copy / mutant.path
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.code, encoding="utf-8")
    try:
        return _test(GROUPS[name].tests_of(mutant.path), copy, seconds)[0] != 0
    finally:
        path.write_text(original, encoding="utf-8")


def seconds_allowed(name: str, copy: Path) -> float:
    """Run a group's tests without a fault, and return the time that the tests of a mutant have."""
    began = time.monotonic()
    code, output = _test(GROUPS[name].tests, copy, timeout=None)
    if code != 0:
        raise SystemExit(f"{name}: the tests fail without any mutant, so they can judge none:\n{output[-3000:]}")
    return max(_LEAST_SECONDS, _PATIENCE * (time.monotonic() - began))


def _test(tests: Iterable[str], copy: Path, timeout: float | None) -> tuple[int, str]:
    """Return the exit code of pytest in a copy, -SIGKILL if it took too long, and its output."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", _SKIPPED]
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "SEARCHSVC_SHARED": os.environ.get("SEARCHSVC_SHARED", str(ROOT.parent / "shared")),
        _MARK: str(copy),
    }
    command = [sys.executable, "-m", "pytest", *options, *tests]
    with tempfile.TemporaryFile() as output:
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        process = subprocess.Popen(command, cwd=copy, env=environment, start_new_session=True, **pipes)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        finally:
            end_processes(copy)
        output.seek(0)
        return process.wait(), output.read().decode(errors="replace")


def end_processes(folder: Path) -> None:
    """Kill all processes of the copies in a folder, including those in sessions of their own."""
    for process in psutil.process_iter():
        try:
            if Path(process.environ().get(_MARK, "/")).is_relative_to(folder):
                process.kill()
        except psutil.Error:
            continue  # it has ended, or it is another user's


def copied(folder: Path) -> Path:
    """Copy the tree into a folder."""
    shutil.copytree(ROOT, folder, ignore=_NOT_COPIED)
    return folder

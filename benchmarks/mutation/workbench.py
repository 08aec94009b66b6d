"""A copy of the tree in which a module can be changed, and the process that runs its tests."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil

from benchmarks.mutation.forks import Record, Request
from benchmarks.mutation.groups import GROUPS, ROOT
from benchmarks.mutation.mutants import Mutant
from benchmarks.mutation.selection import Baseline

_MARK = "SEARCHSVC_MUTANTS"
"""Environment variable by which the processes of a run are recognised."""
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "site")


class Workbench:
    """A copy of the tree, with a process that forks the runs of its tests; `close` ends it with all they started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._output, self._record = (folder.with_suffix(f".{kind}") for kind in ("out", "json"))
        self._process = self._started()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        end_processes(self.folder)

    def load(self, libraries: Sequence[str]) -> None:
        """Import libraries once for all runs that follow."""
        self._send({"libraries": list(libraries)})
        self._answer(None)

    def libraries(self, names: Sequence[str]) -> list[str]:
        """Return the libraries that the tests of groups import."""
        tests = [test for name in names for test in GROUPS[name].tests]
        _, record = self.run(tests, collect=True)
        return record.libraries

    def run(
        self,
        tests: Sequence[str],
        chosen: Sequence[str] = (),
        *,
        timeout: float | None = None,
        traced: Sequence[str] = (),
        limits: Sequence[float] = (),
        collect: bool = False,
    ) -> tuple[int | None, Record]:
        """Run tests and return the exit code of pytest, None if they took too long, and the record.

        `limits`: the seconds that each of the chosen tests may take.
        """
        self._record.unlink(missing_ok=True)
        request = Request(
            tests, str(self._output), str(self._record), chosen=chosen, limits=limits, traced=traced, collect=collect
        )
        self._send(asdict(request))
        code = self._answer(timeout)
        end_processes(self.folder, spared=self._process.pid)
        return code, self._read_record()

    @property
    def output(self) -> str:
        """Output of pytest in the last run."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        """Change a module, for a while."""
        path = self.folder / mutant.path
        original = path.read_text(encoding="utf-8")
        path.write_text(mutant.code, encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(original, encoding="utf-8")

    def _started(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "PYTHONPATH": str(self.folder),
            "OMP_NUM_THREADS": "1",
            "SEARCHSVC_SHARED": os.environ.get("SEARCHSVC_SHARED", str(ROOT.parent / "shared")),
            _MARK: str(self.folder),
        }
        command = [sys.executable, "-m", "benchmarks.mutation.forks"]
        with self._output.open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
            )

    def _send(self, request: dict[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()

    def _answer(self, timeout: float | None) -> int | None:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], timeout)
        if not ready:
            end_processes(self.folder, spared=self._process.pid)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the process that runs tests has ended:\n{self.output[-3000:]}")
        return int(line) if ready else None

    def _read_record(self) -> Record:
        """Return the record of the last run, an empty one if the run was ended."""
        if not self._record.exists():
            return Record()
        record = Record(**json.loads(self._record.read_text(encoding="utf-8")))
        record.lines = {
            module: {int(line): tests for line, tests in lines.items()} for module, lines in record.lines.items()
        }
        return record


def copied(folder: Path) -> Path:
    """Copy the tree into a folder, and compile it so that a changed source is noticed by its content.

    Python otherwise compares size and time of modification, to the second: too coarse for mutants.
    """
    shutil.copytree(ROOT, folder, ignore=_NOT_COPIED)
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", str(folder)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return folder


def baseline(name: str, bench: Workbench) -> Baseline:
    """Run a group's tests without a fault. Raises SystemExit if they fail."""
    group = GROUPS[name]
    began = time.monotonic()
    code, record = bench.run(group.tests, traced=[path.as_posix() for path in group.relative_paths(bench.folder)])
    if code != 0:
        raise SystemExit(f"{name}: the tests fail without any mutant, so they can judge none:\n{bench.output[-3000:]}")
    overhead = max(0.0, time.monotonic() - began - sum(record.seconds.values()))
    lines = {
        module: {line: set(tests) for line, tests in lines.items()} for module, lines in record.lines.items()
    }
    return Baseline(record.seconds, lines, overhead, group.has_processes)


def end_processes(folder: Path, *, spared: int | None = None) -> None:
    """Kill all processes of the copies in a folder, including those in sessions of their own."""
    for process in psutil.process_iter():
        try:
            if process.pid != spared and Path(process.environ().get(_MARK, "/")).is_relative_to(folder):
                process.kill()
        except psutil.Error:
            continue  # it has ended, or it is another user's

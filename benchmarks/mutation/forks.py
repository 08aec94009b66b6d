"""Runs of pytest without the start of Python and of the libraries: a process that has imported them, and forks.

`python -m benchmarks.mutation.forks` reads a request (a line of JSON) at a time and answers with the exit code of its
run. Nothing of the tree itself is imported before the fork, except this package: a run sees the files as they are.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
from coverage import Coverage

ROOT = Path(__file__).parents[2]
_SKIPPED = "not postgres and not slow and not gpu and not chaos"
_TIMEOUT = "from pytest-timeout"
_OPTIONS = ["-x", "-q", "-p", "no:cacheprovider", "-m", _SKIPPED]


@dataclass(frozen=True, slots=True)
class Request:
    """Paths of tests, and which of these tests run in which order: all in pytest's, if `chosen` is empty."""

    tests: Sequence[str]
    output: str
    """File for what pytest prints."""
    record: str
    """File for the record of the run, as JSON."""
    chosen: Sequence[str] = ()
    limits: Sequence[float] = ()
    """Seconds that each of the chosen tests may take."""
    traced: Sequence[str] = ()
    """Modules (paths from the root) whose lines are recorded with the tests that run them."""
    collect: bool = False
    """Import the tests, and run none."""


@dataclass(slots=True)
class Record:
    """A run of pytest."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds of each test, with its fixtures."""
    failed: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    """Tests that failed because they took too long."""
    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    """By module and line, the tests that run it; the empty name is the import of the module."""
    libraries: list[str] = field(default_factory=list)
    """Modules that were imported, without those of the tree, in the order of their import."""


class _Recorder:
    """Plugin of pytest that orders the tests and records them."""

    def __init__(self, request: Request, coverage: Coverage | None) -> None:
        self.record = Record()
        self._coverage = coverage
        self._ranks = {name: rank for rank, name in enumerate(request.chosen)}
        self._limits = dict(zip(request.chosen, request.limits, strict=False))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._ranks:
            chosen = [item for item in items if item.nodeid in self._ranks]
            items[:] = sorted(chosen, key=lambda item: self._ranks[item.nodeid])
        for item in items:
            if (seconds := self._limits.get(item.nodeid)) is not None:
                item.add_marker(pytest.mark.timeout(seconds), append=False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if self._coverage is not None:
            self._coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.record.seconds[report.nodeid] = self.record.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.record.failed.append(report.nodeid)
            if _TIMEOUT in report.longreprtext:
                self.record.late.append(report.nodeid)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        request = json.loads(line)
        code = _import(request["libraries"]) if "libraries" in request else _in_a_fork(Request(**request))
        print(code, file=answers, flush=True)


def _import(libraries: Sequence[str]) -> int:
    """Import the libraries that can be imported by name, and return their number."""
    count = 0
    for name in libraries:
        with suppress(Exception):  # a module of a library that only the library itself can import
            importlib.import_module(name)
            count += 1
    return count


def _in_a_fork(request: Request) -> int:
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            code = _run(request)
        except Exception:
            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _run(request: Request) -> int:
    os.setsid()
    file = os.open(request.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    coverage = _coverage(request.traced)
    recorder = _Recorder(request, coverage)
    options = [*_OPTIONS, "--collect-only"] if request.collect else _OPTIONS
    code = int(pytest.main([*options, *request.tests], plugins=[recorder]))
    if coverage is not None:
        coverage.stop()
        recorder.record.lines = _lines(coverage)
    recorder.record.libraries = _libraries()
    Path(request.record).write_text(json.dumps(asdict(recorder.record)), encoding="utf-8")
    sys.stdout.flush()
    return code


def _coverage(modules: Sequence[str]) -> Coverage | None:
    if not modules:
        return None
    coverage = Coverage(data_file=None, include=[str(ROOT / module) for module in modules], config_file=False)
    coverage.start()
    return coverage


def _lines(coverage: Coverage) -> dict[str, dict[int, list[str]]]:
    data = coverage.get_data()
    files = data.measured_files()
    return {Path(file).relative_to(ROOT).as_posix(): data.contexts_by_lineno(file) for file in files}


def _libraries() -> list[str]:
    """Return the modules that are imported, without those of the tree, in the order of their import."""
    ours = {path.stem for path in ROOT.iterdir()}
    return [name for name in list(sys.modules) if name.partition(".")[0] not in ours]


if __name__ == "__main__":
    main()

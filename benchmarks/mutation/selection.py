"""The tests that can notice a mutant, those first that probably do."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.mutation.mutants import Mutant

_AT_IMPORT = ""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A group's tests without a fault."""

    seconds: Mapping[str, float]
    """Seconds of each test."""
    lines: Mapping[str, Mapping[int, Set[str]]]
    """By module and line, the tests that run it; the empty name is the import of the module."""
    overhead: float
    """Seconds of a run besides its tests."""
    has_processes: bool
    """True if tests also run the modules in processes of their own, where no line is recorded."""

    def tests_of(self, mutant: Mutant, source: str, own: str) -> list[str]:
        """Return the tests that run the changed statement, in their order, or none if no test does.

        The tests of a file run together, since they share fixtures: those of the module's `own` file first, then the
        files by the mean time of their tests, the fast tests first. A statement that runs when the module is imported
        can show in every test: those that run the module come first.
        """
        of_module = self.lines.get(mutant.path.as_posix(), {})
        tests = {test for line in statement(source, mutant.line) for test in of_module.get(line, ())}
        if _AT_IMPORT in tests:
            users = {test for line in of_module.values() for test in line if test != _AT_IMPORT}
            return [*self._ordered(users, own), *self._ordered(self.seconds.keys() - users, own)]
        if not tests and self.has_processes:
            return self._ordered(self.seconds.keys(), own)
        return self._ordered(tests, own)

    def _ordered(self, tests: Set[str], own: str) -> list[str]:
        files: dict[str, list[str]] = {}
        for test in sorted(tests, key=lambda test: (self.seconds[test], test)):
            files.setdefault(test.partition("::")[0], []).append(test)

        def rank(file: str) -> tuple[bool, float]:
            return file != own, fmean(self.seconds[test] for test in files[file])

        return [test for file in sorted(files, key=rank) for test in files[file]]

    def seconds_of(self, tests: Sequence[str]) -> float:
        """Return the seconds of a run of tests."""
        return self.overhead + sum(self.seconds[test] for test in tests)


def statement(source: str, line: int) -> range:
    """Return the lines of the smallest statement on a line; of one with a body, those before the body."""
    spans = [span for span in _spans(ast.parse(source)) if line in span]
    return min(spans, key=len, default=range(line, line + 1))


def _spans(syntax: ast.AST) -> Iterator[range]:
    for node in ast.walk(syntax):
        if not isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            continue
        head = node.pattern if isinstance(node, ast.match_case) else node
        first = min([head.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
        body = getattr(node, "body", None)
        last = body[0].lineno - 1 if body else head.end_lineno or head.lineno
        yield range(first, max(first, last) + 1)


def own_tests(module: Path) -> str:
    """Return the path of the unit tests of a module."""
    return f"tests/unit/{module.parent.as_posix()}/test_{module.stem}.py"

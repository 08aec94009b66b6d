"""The measurements of a study, in a file, so that an interrupted study continues."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.studies import pool
from benchmarks.studies.pool import Row

Key = tuple[Any, ...]
"""Dataset, seed, kind of measurement, arm."""
T = TypeVar("T")


def options(description: str | None) -> argparse.Namespace:
    """Return the parser of a study's command line: `processes`, `quick`, `fresh`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a fraction of it, from the start; nothing is kept")
    parser.add_argument("--fresh", action="store_true", help="from the start, instead of what is not measured yet")
    return parser.parse_args()


class Kept:
    """Rows, each written as soon as it is there, unless the run is quick."""

    def __init__(self, path: Path, line: Callable[[Row], str], *, quick: bool, fresh: bool) -> None:
        """`line`: the line printed for a row. `quick`: nothing is read or written; `fresh`: nothing is read."""
        self._path, self._line, self._writes = path, line, not quick
        self.rows: list[Row] = [] if quick or fresh or not path.exists() else json.loads(path.read_text())

    def missing(self, pieces: Mapping[Key, T]) -> list[T]:
        """Return the pieces without a row."""
        measured = {_key(row) for row in self.rows}
        return [piece for key, piece in pieces.items() if key not in measured]

    def add(self, row: Row) -> None:
        print(self._line(row), flush=True)
        self.rows.append(row)
        if self._writes:
            ordered = sorted(self.rows, key=lambda one: [str(part) for part in _key(one)])
            self._path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def measure_missing(results: Kept, workers: ProcessPoolExecutor, pieces: Mapping[Key, tuple[Any, ...]]) -> None:
    """Measure the pieces without a row, with their seconds. A piece is a function and its arguments."""
    pool.finished(workers, _timed, results.missing(pieces), results.add)


def _timed(work: Callable[..., Row], *arguments: Any) -> Row:
    """Measure a piece, in a process of the pool."""
    started = time.monotonic()
    row = work(*arguments)
    return {**row, "seconds": time.monotonic() - started}


def _key(row: Mapping[str, Any]) -> Key:
    return row["dataset"], row["seed"], row["kind"], row["arm"]

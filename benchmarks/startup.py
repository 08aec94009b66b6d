"""How long `searchctl --help` takes, whole process, beside a Python that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Row

RUNS = 9
LIMIT_SECONDS = 0.5


def run() -> list[Row]:
    searchctl = str(Path(sys.executable).parent / "searchctl")
    pairs = [(_seconds([searchctl, "--help"]), _seconds([sys.executable, "-c", "pass"])) for _ in range(RUNS)]
    ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    return [
        Row(
            "searchctl --help",
            f"{ours:.2f} s",
            f"{bare:.2f} s  python -c pass",
            ours / bare,
            f"<= {LIMIT_SECONDS} s",
            ours <= LIMIT_SECONDS,
        )
    ]


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started

"""Damaged files for the readers of data and specs: how many are read, and how many are refused in our own words.

Any other answer, 120 s for a file, or more than 1 GiB of memory ends the benchmark with the seed that repeats it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from benchmarks.report import Row
from tests.support.fuzzing import KINDS

COUNT, SEED = 3_000, 1_000


def run() -> list[Row]:
    return [_row(name) for name in KINDS]


def _row(name: str) -> Row:
    command = [sys.executable, "-m", "tests.support.fuzzing", str(COUNT), str(SEED), name]
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.perf_counter() - started
    results = json.loads(done.stdout)[name]
    answers = f"{results.get('refused', 0):,} refused, {results.get('read', 0):,} read"
    return Row(name, answers, f"{COUNT:,} damaged files in {seconds:.0f} s", sum(results.values()) / COUNT, "= 1", True)

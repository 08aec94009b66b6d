"""The cost of starting searchctl: seconds for `--help`, CPU seconds for `list`, compared with a bare Python."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import Row

RUNS = 9
LIMIT_SECONDS = 0.5
LIMIT_CPU_SECONDS = 0.3
_START_SECONDS = 60.0


def run() -> list[Row]:
    searchctl = str(Path(sys.executable).parent / "searchctl")
    nothing = [sys.executable, "-c", "pass"]
    times = [(_seconds([searchctl, "--help"]), _seconds(nothing)) for _ in range(RUNS)]
    with _service(searchctl) as environment:
        costs = [
            (_cpu_seconds([searchctl, "list"], environment), _cpu_seconds(nothing, environment)) for _ in range(RUNS)
        ]
    return [
        _row("searchctl --help", times, LIMIT_SECONDS, "s"),
        _row("searchctl list, a service running", costs, LIMIT_CPU_SECONDS, "s of CPU"),
    ]


def _row(name: str, pairs: Sequence[tuple[float, float]], limit: float, unit: str) -> Row:
    ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    reference = f"{bare:.2f} {unit}  python -c pass"
    return Row(name, f"{ours:.2f} {unit}", reference, ours / bare, f"<= {limit} {unit}", ours <= limit)


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def _cpu_seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a command and return its user and system time."""
    before = os.times()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


@contextmanager
def _service(searchctl: str) -> Iterator[Mapping[str, str]]:
    """Run a service on an empty data folder, and yield the environment of its clients."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "SEARCHSVC_DATA_DIR": folder}
        command = [searchctl, "serve", "--no-controller", "--port", "0"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + _START_SECONDS
                while not (Path(folder) / "address").exists():
                    if time.monotonic() > deadline:
                        raise RuntimeError("the service did not start")
                    time.sleep(0.2)
                _cpu_seconds([searchctl, "list"], environment)  # waits for the first answer of the service
                yield environment
            finally:
                process.terminate()

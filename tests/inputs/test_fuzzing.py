"""Readers and damaged files, within limits of memory and time; `make bench ARGS=fuzz` tries many more."""

from __future__ import annotations

import json
import subprocess
import sys

COUNT, SEED = 150, 1


def test_a_damaged_file_is_read_or_refused_in_our_own_words() -> None:
    command = [sys.executable, "-m", "tests.support.fuzzing", str(COUNT), str(SEED)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert run.returncode == 0, run.stderr[-3000:]
    results = json.loads(run.stdout)
    assert {outcome for result in results.values() for outcome in result} == {"read", "refused"}
    assert all(result["refused"] and sum(result.values()) == COUNT for result in results.values()), results

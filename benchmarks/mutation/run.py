"""Verdicts on mutants: whether a test of their group notices them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.mutation.equivalents import reason_of
from benchmarks.mutation.mutants import Mutant
from benchmarks.mutation.selection import Baseline, own_tests
from benchmarks.mutation.workbench import Workbench

_LEAST_SECONDS = 10.0
"""Time that a test of a mutant has at least; otherwise, several times what it takes without a fault."""
_PATIENCE = 5
_FAILED = (1, 2, 3)
"""Exit codes of pytest if a test fails, if a module cannot be imported, and if pytest itself fails."""


class Fate(StrEnum):
    """Outcome of a mutant's tests."""

    KILLED = "killed"
    EQUIVALENT = "equivalent"
    SURVIVED = "SURVIVED"
    NOT_RUN = "NOT RUN"
    """No test runs the line."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A mutant and its fate."""

    group: str
    mutant: Mutant
    fate: Fate
    why: str = ""
    """The test that failed, or the reason why the mutant is equivalent."""


def run(
    mutants: Sequence[tuple[str, Mutant]],
    baselines: Mapping[str, Baseline],
    benches: Sequence[Workbench],
    deadline: float,
) -> Iterator[Verdict]:
    """Yield the verdicts on mutants, one at a time on each bench; none starts after the deadline (monotonic)."""
    free: queue.Queue[Workbench] = queue.Queue()
    for bench in benches:
        free.put(bench)
    over = threading.Event()

    def judge(name: str, mutant: Mutant) -> Verdict | None:
        if over.is_set() or time.monotonic() > deadline:
            return None
        bench = free.get()
        try:
            return judged(name, mutant, baselines[name], bench)
        finally:
            free.put(bench)

    pool = ThreadPoolExecutor(len(benches))
    try:
        for verdict in pool.map(judge, *zip(*mutants, strict=True)):
            if verdict is not None:
                yield verdict
    finally:
        over.set()
        pool.shutdown()


def judged(name: str, mutant: Mutant, baseline: Baseline, bench: Workbench) -> Verdict:
    """Run the tests that can notice a mutant, up to the first that does."""
    if reason := reason_of(mutant):
        return Verdict(name, mutant, Fate.EQUIVALENT, reason)
    source = (bench.folder / mutant.path).read_text(encoding="utf-8")
    chosen = baseline.tests_of(mutant, source, own_tests(mutant.path))
    if not chosen:
        return Verdict(name, mutant, Fate.NOT_RUN)
    files = list(dict.fromkeys(test.partition("::")[0] for test in chosen))
    limits = [max(_LEAST_SECONDS, _PATIENCE * baseline.seconds[test]) for test in chosen]
    all_together = max(4 * _LEAST_SECONDS, _PATIENCE * baseline.seconds_of(chosen))
    with bench.changed(mutant):
        code, record = bench.run(files, chosen, limits=limits, timeout=all_together)
    slow = chosen if code is None else record.late
    limit = all_together if code is None else limits[chosen.index(slow[0])] if slow else 0.0
    if slow and not _are_fast(slow, bench, limit, baseline.overhead):
        return Verdict(name, mutant, Fate.SURVIVED, "the tests take as long without it, on this machine")
    if code is None:
        return Verdict(name, mutant, Fate.KILLED, "the tests do not end")
    if code in _FAILED or code < 0:
        return Verdict(name, mutant, Fate.KILLED, record.failed[0] if record.failed else f"exit code {code}")
    return Verdict(name, mutant, Fate.SURVIVED)


def _are_fast(tests: Sequence[str], bench: Workbench, seconds: float, overhead: float) -> bool:
    """Return whether tests without a fault take less than half of the time."""
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    code, record = bench.run(files, tests, timeout=seconds + _PATIENCE * overhead)
    return code == 0 and sum(record.seconds.values()) < seconds / 2

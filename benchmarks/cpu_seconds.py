"""CPU seconds of a single operation, as rows of a table."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.report import Row


def scaled(what: str, prepare: Callable[[int], Callable[[], object]], size: int, bound: float) -> Row:
    """Measure an operation, after running it once. `prepare` maps the size of the input to the operation."""
    tenth, whole = prepare(size // 10), prepare(size)
    tenth()
    reference, ours = _seconds(tenth), _seconds(whole)
    shown = f"{reference:.2f} s  a tenth of it"
    return Row(what, f"{ours:.2f} s", shown, ours / reference, f"<= {bound:g} s", ours <= bound)


def alone(what: str, operation: Callable[[], object], bound: float) -> Row:
    operation()
    ours = _seconds(operation)
    return Row(what, f"{ours:.2f} s", "", None, f"<= {bound:g} s", ours <= bound)


def _seconds(operation: Callable[[], object]) -> float:
    started = time.process_time()
    operation()
    return time.process_time() - started

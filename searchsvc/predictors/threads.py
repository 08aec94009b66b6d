"""Fitting on a single thread: the matrices are small, and the number of threads would affect the rounding of sums."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> ThreadpoolController:
    """The thread pools of numpy and scipy. Cached: finding them takes longer than a small fit."""
    from scipy import linalg  # noqa: F401 - late: scipy takes half a second; loaded so that its pool is among them

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit the linear algebra of numpy and scipy to a single thread, and torch if it has been imported."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 1
    if torch:
        torch.set_num_threads(1)
    try:
        with _libraries().limit(limits=1):
            yield
    finally:
        if torch:
            torch.set_num_threads(threads)

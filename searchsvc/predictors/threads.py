"""One thread for fitting: the matrices are small, and the number of threads would decide how sums are rounded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> ThreadpoolController:
    """Those of numpy and scipy, found once: that takes longer than a small fit."""
    from scipy import linalg  # noqa: F401 - loaded here so that it is found; algorithms start without scipy

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra of numpy and scipy runs on one thread inside, and that of torch where it has been imported."""
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

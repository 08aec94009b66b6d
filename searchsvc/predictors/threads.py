"""One thread for fitting: the matrices are small, and the number of threads would decide how sums are rounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra of numpy, scipy and torch runs on one thread inside."""
    import torch
    from scipy import linalg  # noqa: F401 - its library has to be loaded to be limited
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)

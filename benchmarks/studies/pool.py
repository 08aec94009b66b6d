"""Independent pieces of a study in separate processes, each reported as soon as it is done."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

Row = dict[str, Any]


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Return a pool of processes that share nothing with this process."""
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def finished(
    pool: ProcessPoolExecutor,
    work: Callable[..., Row],
    pieces: Iterable[tuple[Any, ...]],
    done: Callable[[Row], None],
) -> list[Row]:
    """Return the results of `work(*piece)` in the order of the pieces; `done` receives each as soon as it is there."""
    futures = [pool.submit(work, *piece) for piece in pieces]
    for future in as_completed(futures):
        done(future.result())
    return [future.result() for future in futures]

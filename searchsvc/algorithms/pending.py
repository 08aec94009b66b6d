"""Pending candidates: the bookkeeping between an ask and its result, for algorithms that learn from them.

::

    add ──> pending ── finish ──> told
             │  ▲
     release │  │ reopen
             ▼  │
            failed        (a candidate that was released as infeasible leaves no trace)
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from searchsvc.errors import FailureKind

T = TypeVar("T")


class Pending(Generic[T]):
    """Candidates whose results are awaited, by ask number: the key of each, and an item of the algorithm.

    Several asks may have the same candidate. A result belongs to the earliest of them, a failure to the latest.
    """

    def __init__(self) -> None:
        self._pending: dict[int, tuple[Hashable, T]] = {}
        self._failed: dict[int, tuple[Hashable, T]] = {}

    def __iter__(self) -> Iterator[T]:
        """Items in the order of their asks."""
        return (self._pending[asks][1] for asks in sorted(self._pending))

    def by_ask(self) -> dict[int, T]:
        """Ask number -> item."""
        return {asks: item for asks, (_, item) in self._pending.items()}

    def keys(self) -> set[Hashable]:
        """Keys of pending candidates."""
        return {key for key, _ in self._pending.values()}

    def failed_keys(self) -> set[Hashable]:
        """Keys of candidates whose trials failed and were not tried again."""
        return {key for key, _ in self._failed.values()}

    def add(self, asks: int, key: Hashable, item: T) -> None:
        """Make the candidate `key` of ask number `asks` pending."""
        self._pending[asks] = key, item

    def finish(self, key: Hashable) -> tuple[int, T] | None:
        """Remove the earliest pending ask of a candidate and return its number and item.

        None if the candidate is not pending.
        """
        asks = min(self._asks_of(key), default=None)
        return None if asks is None else (asks, self._pending.pop(asks)[1])

    def release(self, key: Hashable, failure: FailureKind | None) -> None:
        """Remove the latest pending ask of a candidate. It counts as failed, unless the candidate was infeasible."""
        asks = max(self._asks_of(key), default=None)
        if asks is None:
            return
        released = self._pending.pop(asks)
        if failure is not FailureKind.INFEASIBLE:
            self._failed[asks] = released

    def reopen(self, asks: int) -> bool:
        """Make a failed ask pending again. Return whether it had failed."""
        if asks not in self._failed:
            return False
        self._pending[asks] = self._failed.pop(asks)
        return True

    def forget_failures(self, key: Hashable) -> None:
        """No longer count a candidate as failed."""
        self._failed = {asks: entry for asks, entry in self._failed.items() if entry[0] != key}

    def _asks_of(self, key: Hashable) -> Iterator[int]:
        return (asks for asks, (other, _) in self._pending.items() if other == key)

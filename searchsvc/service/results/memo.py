"""Memo: a bounded cache of values that are computed from the trials of a job."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

MOST_ENTRIES = 4000

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _CachedValue:
    """A value, the version of the results it was computed from, and the time it was stored."""

    value: Any
    version: int | None
    at: float


class Memo:
    """A least-recently-used cache, safe to share between threads.

    The key of an entry is its job and the name of the value. An entry holds a single version: when a job has new
    results, the value is computed again and replaces the former value.
    """

    def __init__(self, most: int = MOST_ENTRIES, *, clock: Callable[[], float] = time.time) -> None:
        self._most = most
        self._clock = clock
        self._entries: OrderedDict[tuple[str, Hashable], _CachedValue] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(
        self,
        job_id: str,
        what: Hashable,
        version: int,
        compute: Callable[[V | None], V],
        *,
        keep_seconds: float | None = None,
    ) -> V:
        """Return the value of this version, from the cache or from `compute`, which receives the former value or None.

        With `keep_seconds`, a value of another version is also served until it is older than that. Two threads that
        miss at the same time both compute, because the lock is not held during the computation.
        """
        stored = self._find(job_id, what)
        if stored is not None:
            is_kept = keep_seconds is not None and self._clock() - stored.at <= keep_seconds
            if is_kept or stored.version == version:
                value: V = stored.value
                return value
        value = compute(stored.value if stored is not None else None)
        self.put(job_id, what, value, version)
        return value

    def peek(self, job_id: str, what: Hashable) -> Any | None:
        """Return the stored value of any version, or None."""
        stored = self._find(job_id, what)
        return stored.value if stored is not None else None

    def put(self, job_id: str, what: Hashable, value: Any, version: int | None = None) -> None:
        """Store a value. A value without a version is never served unchanged: the next `get` computes from it."""
        with self._lock:
            self._entries[job_id, what] = _CachedValue(value, version, self._clock())
            self._entries.move_to_end((job_id, what))
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def forget(self, job_id: str) -> None:
        """Drop all values of a job."""
        with self._lock:
            for key in [key for key in self._entries if key[0] == job_id]:
                del self._entries[key]

    def _find(self, job_id: str, what: Hashable) -> _CachedValue | None:
        with self._lock:
            stored = self._entries.get((job_id, what))
            if stored is not None:
                self._entries.move_to_end((job_id, what))
            return stored

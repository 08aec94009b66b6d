"""Identifiers: UUIDv7 (RFC 9562), sortable by the time of their making and opaque to users."""

from __future__ import annotations

import os
import threading
import time
import uuid

_TICKS = 1 << 12
"""In a millisecond: what the 12 bits after the version count (RFC 9562, section 6.2, method 3)."""
_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A fresh UUIDv7, greater than every one that this process made before: 48 bits of Unix time in milliseconds,
    12 bits of its fraction, 62 random bits."""
    ticks, random = _tick(), int.from_bytes(os.urandom(8), "big")
    milliseconds, fraction = divmod(ticks, _TICKS)
    time_and_version = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76
    number = time_and_version | fraction << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return str(uuid.UUID(int=number))


def _tick() -> int:
    """The time, in ticks: a step further than the last where the clock stands still or goes back."""
    global _last
    with _lock:
        _last = max(time.time_ns() * _TICKS // 1_000_000, _last + 1)
        return _last


def is_id(text: str) -> bool:
    """Whether `text` is a UUID in its usual spelling."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False

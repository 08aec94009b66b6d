"""Identifiers: UUIDv7 (RFC 9562), sortable by time of creation and opaque to users."""

from __future__ import annotations

import os
import threading
import time
import uuid

_TICKS = 1 << 12
"""Ticks per millisecond, counted by the 12 bits after the version (RFC 9562, section 6.2, method 3)."""
_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return a new UUIDv7, greater than all earlier ones of this process.

    It holds 48 bits of Unix time in milliseconds, 12 bits of its fraction, and 62 random bits.
    """
    ticks, random = _tick(), int.from_bytes(os.urandom(8), "big")
    milliseconds, fraction = divmod(ticks, _TICKS)
    time_and_version = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76
    number = time_and_version | fraction << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return str(uuid.UUID(int=number))


def _tick() -> int:
    """Return the time in ticks, or the last time plus 1 if the clock has not advanced."""
    global _last
    with _lock:
        _last = max(time.time_ns() * _TICKS // 1_000_000, _last + 1)
        return _last


def is_id(text: str) -> bool:
    """Return whether `text` is a UUID in its usual spelling."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False

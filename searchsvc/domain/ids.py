"""Identifiers: UUIDv7 (RFC 9562), sortable by the time of their making and opaque to users."""

from __future__ import annotations

import os
import time
import uuid


def new_id() -> str:
    """A fresh UUIDv7: 48 bits of Unix time in milliseconds, 12 + 62 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    time_and_version = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76
    variant_and_random = (random >> 68) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    number = time_and_version | variant_and_random
    return str(uuid.UUID(int=number))


def is_id(text: str) -> bool:
    """Whether `text` is a UUID in its usual spelling."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False

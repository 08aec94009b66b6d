"""Keyset pagination: a page ends with an opaque token, from which the next page continues even if rows were added."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from searchsvc.errors import InvalidInput

LARGEST_PAGE = 1000
_LARGEST_KEY = 2**63 - 1  # databases compare integers up to 64 bits

T = TypeVar("T")
K = TypeVar("K", str, int)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows of a list, and the token of the next page; None on the last page."""

    items: tuple[T, ...]
    next_page_token: str | None


def page_of(
    read: Callable[[K | None, int], Sequence[T]],
    key: Callable[[T], K],
    *,
    kind: type[K],
    size: int,
    token: str | None,
    filters: Mapping[str, Any],
) -> Page[T]:
    """Return a page from `read(after, limit)`; an additional row shows whether there is another page."""
    if not 1 <= size <= LARGEST_PAGE:
        raise InvalidInput.at("/page_size", f"must lie from 1 to {LARGEST_PAGE}, not {size}")
    rows = read(decode_token(token, filters, kind) if token else None, size + 1)
    more = len(rows) > size
    return Page(tuple(rows[:size]), encode_token(key(rows[size - 1]), filters) if more else None)


def encode_token(key: str | int, filters: Mapping[str, Any]) -> str:
    """Return the token for the key of the last row and a hash of the filters; it is opaque to clients."""
    text = json.dumps([key, _digest(filters)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_token(token: str, filters: Mapping[str, Any], kind: type[K]) -> K:
    """Return the key in a token. Raises InvalidInput if the token is not ours, or was made with other filters."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        key, digest = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise InvalidInput.at("/page_token", "is not a page token; take next_page_token of an earlier answer") from None
    if not isinstance(key, kind) or isinstance(key, bool) or (isinstance(key, int) and not 0 <= key <= _LARGEST_KEY):
        raise InvalidInput.at("/page_token", "is not a page token; take next_page_token of an earlier answer")
    if digest != _digest(filters):
        raise InvalidInput.at("/page_token", "belongs to a list with other filters; ask for its first page again")
    return key


def _digest(filters: Mapping[str, Any]) -> str:
    canonical = json.dumps(dict(filters), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]

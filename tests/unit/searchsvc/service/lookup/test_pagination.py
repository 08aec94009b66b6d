"""Keyset pages and their tokens."""

from __future__ import annotations

import base64

import pytest

from searchsvc.errors import InvalidInput
from searchsvc.service.lookup.pagination import Page, decode_token, encode_token, page_of

_ROWS = list(range(25))


def _page(token: str | None = None, size: int = 10, **filters: object) -> Page[int]:
    def read(after: int | None, limit: int) -> list[int]:
        return [row for row in _ROWS if after is None or row > after][:limit]

    return page_of(read, lambda row: row, kind=int, size=size, token=token, filters=filters)


def test_pages_together_hold_every_row_once() -> None:
    rows, token = [], None
    while True:
        page = _page(token)
        rows += page.items
        token = page.next_page_token
        if token is None:
            break
    assert rows == _ROWS


def test_a_last_page_that_is_full_has_no_next_one() -> None:
    assert _page(size=25).next_page_token is None


def test_a_token_with_other_filters_is_refused() -> None:
    token = _page(state="RUNNING").next_page_token
    with pytest.raises(InvalidInput, match="belongs to a list with other filters"):
        _page(token, state="FAILED")


@pytest.mark.parametrize("token", ["x", "é", "AAAA", "[]", base64.b64encode(b"[1]").decode(), "A" * 10_000])
def test_garbage_is_no_page_token(token: str) -> None:
    with pytest.raises(InvalidInput, match="is not a page token"):
        _page(token)


@pytest.mark.parametrize("key", ["text", True, -1, 2**63])
def test_a_key_of_another_kind_or_that_no_row_has_is_no_page_token(key: str | int) -> None:
    with pytest.raises(InvalidInput, match="is not a page token"):
        decode_token(encode_token(key, {}), {}, int)


@pytest.mark.parametrize("size", [0, -1, 1001])
def test_a_page_has_1_to_1000_rows(size: int) -> None:
    with pytest.raises(InvalidInput, match="/page_size: must lie from 1 to 1000"):
        _page(size=size)

"""Rows of tables: all rows once, then only changes."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np

from api.ui.tables.rows import MOST_SENT, RowStore
from searchsvc.service.results.columns import sample


def applied(rows: list[dict[str, Any]], change: Any) -> dict[str, dict[str, Any]]:
    """Apply a change to rows, as a table does."""
    rows_after = {row["id"]: row for row in rows} | {row["id"]: row for row in (*change["add"], *change["update"])}
    for row in change["remove"]:
        del rows_after[row["id"]]
    return rows_after


def test_a_change_leads_from_the_rows_before_to_the_rows_after() -> None:
    built: list[str] = []

    def make(source: tuple[str]) -> dict[str, Any]:
        built.append(source[0])
        return {"shows": source[0]}

    store: RowStore[int, tuple[str]] = RowStore()
    first = {3: ("c",), 2: ("b",), 1: ("a",)}
    before = store.update(first, make)
    packed = json.loads(gzip.decompress(before.packed))
    assert [row["id"] for row in packed["rows"]] == ["3", "2", "1"]
    built.clear()
    after = store.update({4: ("d",), 3: first[3], 2: ("B",)}, make)
    assert sorted(built) == ["B", "d"]
    assert (before.version, after.version) == (packed["version"], packed["version"] + 1)
    assert applied(packed["rows"], json.loads(after.change)) == {str(key): row for key, row in after.every.items()}


def test_many_rows_and_rows_that_come_before_are_fetched_not_sent() -> None:
    def changed(sources: dict[int, list[int]]) -> set[str]:
        store: RowStore[int, list[int]] = RowStore()
        store.update({5: [5]}, lambda source: {"shows": source[0]})
        return set(json.loads(store.update(sources, lambda source: {"shows": source[0]}).change))

    assert changed({6: [6], 5: [5]}) == {"version", "add", "update", "remove"}
    assert changed({5: [5], 4: [4]}) == {"version"}
    assert changed({number: [number] for number in range(5 + MOST_SENT + 1, 4, -1)}) == {"version"}


def test_what_shows_the_same_is_no_change() -> None:
    store: RowStore[int, list[int]] = RowStore()
    before = store.update({1: [0]}, lambda source: {"shows": source[0]})
    assert store.update({1: [0]}, lambda source: {"shows": source[0]}) is before
    moved = store.update({1: [0]}, lambda source: {"shows": source[0] + 1}, rebuilt={1})
    assert [row["shows"] for row in moved.updated] == [1]


def test_a_sample_is_spread_over_all_and_holds_the_last() -> None:
    assert sample(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert sample(0, 10).tolist() == []
    drawn = sample(100_000, 2000)
    assert len(drawn) == 2000
    assert drawn[-1] == 99_999
    assert np.diff(drawn).max() <= 51

"""Pending: a result ends the earliest ask of a candidate, a failure releases the latest."""

from __future__ import annotations

import pytest

from searchsvc.algorithms.pending import Pending
from searchsvc.domain import FailureKind


@pytest.fixture
def pending() -> Pending[str]:
    """Asks 1 and 3 have candidate a, ask 2 has candidate b; added out of order."""
    pending: Pending[str] = Pending()
    for asks, key in ((3, "a"), (1, "a"), (2, "b")):
        pending.add(asks, key, f"item {asks}")
    return pending


def test_items_come_in_the_order_of_their_asks(pending: Pending[str]) -> None:
    assert list(pending) == ["item 1", "item 2", "item 3"]
    assert pending.by_ask() == {1: "item 1", 2: "item 2", 3: "item 3"}


def test_a_result_ends_the_earliest_ask_and_then_the_next(pending: Pending[str]) -> None:
    assert [pending.finish("a") for _ in range(3)] == [(1, "item 1"), (3, "item 3"), None]
    assert pending.keys() == {"b"}


def test_a_failure_releases_the_latest_ask_which_can_be_reopened(pending: Pending[str]) -> None:
    pending.release("a", FailureKind.OUT_OF_MEMORY)
    assert list(pending) == ["item 1", "item 2"]
    assert pending.failed_keys() == {"a"}
    assert [pending.reopen(3), pending.reopen(3)] == [True, False]
    assert list(pending) == ["item 1", "item 2", "item 3"]
    assert pending.failed_keys() == set()


def test_an_infeasible_candidate_leaves_no_trace(pending: Pending[str]) -> None:
    pending.release("b", FailureKind.INFEASIBLE)
    assert pending.failed_keys() == set()
    assert not pending.reopen(2)


def test_a_candidate_that_is_not_pending_cannot_be_released(pending: Pending[str]) -> None:
    pending.release("c", FailureKind.ERROR)
    assert pending.failed_keys() == set()
    assert len(list(pending)) == 3


def test_forgotten_failures_of_a_candidate_no_longer_count(pending: Pending[str]) -> None:
    for key in ("a", "a", "b"):
        pending.release(key, None)
    pending.forget_failures("a")
    assert pending.failed_keys() == {"b"}

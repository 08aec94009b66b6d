"""Faults of several checks are collected with the pointers of their places."""

from __future__ import annotations

import pytest

from searchsvc.errors import Fault, FaultCollector, InvalidInput, NotFound, below


def test_faults_of_several_checks_are_raised_together_in_order_and_once() -> None:
    faults = FaultCollector()
    with faults.at("/space/fix"):
        raise InvalidInput([Fault("/lr", "too large"), Fault("/width", "unknown")])
    faults.add([Fault("/task", "unknown"), Fault("/space/fix/lr", "too large")])
    with faults.at("/space"), faults.at("/narrow"):
        raise InvalidInput.at("/lr", "empty")
    with pytest.raises(InvalidInput) as raised:
        faults.raise_any()
    pointers = [fault.pointer for fault in raised.value.faults]
    assert pointers == ["/space/fix/lr", "/space/fix/width", "/task", "/narrow/lr"]


def test_without_faults_nothing_is_raised_and_other_errors_pass() -> None:
    faults = FaultCollector()
    with faults.at("/task"):
        pass
    faults.raise_any()
    with pytest.raises(NotFound), faults.at("/task"):
        raise NotFound("no such task")


def test_faults_of_a_part_get_the_pointer_of_the_part() -> None:
    with pytest.raises(InvalidInput, match=r"^/dataset/path: missing$"), below("/dataset"):
        raise InvalidInput.at("/path", "missing")

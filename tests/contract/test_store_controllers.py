"""Controllers report themselves to the store; reports of dead controllers disappear."""

from __future__ import annotations

from dataclasses import replace

from searchsvc.domain import ControllerReport
from searchsvc.store import Store
from tests.support.jobs import Clock

FIRST = ControllerReport("a:1", "a", 1, 5.0, 0.0, turns=3, errors=1, last_error="E: \0 nul", drivers=2)


def test_a_report_replaces_the_report_of_the_same_controller_and_is_dated_by_the_store(database_url: str) -> None:
    clock = Clock()
    store = Store.open(database_url, clock=clock)
    store.report_controller(FIRST)
    clock.now += 1.0
    store.report_controller(replace(FIRST, turns=4))
    store.report_controller(replace(FIRST, holder="b:2", started_at=1.0))
    last_error = "E: \ufffd nul"
    assert store.controllers() == [
        replace(FIRST, holder="b:2", started_at=1.0, seen_at=clock.now, last_error=last_error),
        replace(FIRST, turns=4, seen_at=clock.now, last_error=last_error),
    ]
    store.remove_controller("a:1")
    store.remove_controller("a:1")
    assert [report.holder for report in store.controllers()] == ["b:2"]
    store.close()


def test_the_report_of_a_controller_that_has_been_silent_for_an_hour_is_removed_by_the_next(database_url: str) -> None:
    clock = Clock()
    store = Store.open(database_url, clock=clock)
    store.report_controller(FIRST)
    clock.now += 3601.0
    store.report_controller(replace(FIRST, holder="b:2"))
    assert [report.holder for report in store.controllers()] == ["b:2"]
    store.close()

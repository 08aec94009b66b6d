"""Events: a measurement is stored once, and old events can be removed without harm to readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from searchsvc.domain import Event, Lease, Measurement
from searchsvc.store import Store, tables
from tests.support.jobs import Clock, a_claimed_job, a_spec, add_trials
from tests.support.statements import statements

DAY = 86_400.0


@pytest.fixture
def lease(store: Store) -> Lease:
    return a_claimed_job(store)[1]


def _measure(store: Store, lease: Lease, steps: int) -> str:
    [trial_id] = add_trials(store, lease, 1)
    writer = store.writer(lease)
    for step in range(1, steps + 1):
        measured = Measurement(step, {"accuracy": step / 100, "loss": 1.0}, float(step))
        writer.measure(trial_id, measured, measured)
    writer.flush()
    return trial_id


def _rows_at_rest(store: Store) -> list[dict[str, Any]]:
    query = text("SELECT data FROM events WHERE kind = 'trial.measured' ORDER BY sequence")
    found = store._database.read(lambda connection: connection.execute(query).scalars().all())
    return [json.loads(data) if isinstance(data, str) else data for data in found]


def test_the_event_of_a_measurement_shows_it_and_does_not_repeat_it(store: Store, lease: Lease) -> None:
    trial_id = _measure(store, lease, 3)
    assert _rows_at_rest(store) == [{"number": 0, "step": step} for step in (1, 2, 3)]
    shown = [
        {"number": 0, "step": step, "metrics": {"accuracy": step / 100, "loss": 1.0}, "seconds": float(step)}
        for step in (1, 2, 3)
    ]
    for events in (store.events(after=0), store.events(job_id=lease.job_id), store.latest_events(lease.job_id, 3)):
        assert [event.data for event in events if event.kind == "trial.measured"] == shown
        assert {event.trial_id for event in events if event.kind == "trial.measured"} == {trial_id}


def test_the_statements_for_a_page_do_not_depend_on_its_measurements(store: Store, lease: Lease) -> None:
    _measure(store, lease, 50)
    with statements() as sent:
        assert len(store.events(after=0, limit=40)) == 40
    assert len([statement for statement in sent if statement.lstrip().startswith("SELECT")]) == 1


def test_an_event_of_an_earlier_version_is_read_as_it_was(store: Store, lease: Lease) -> None:
    trial_id = _measure(store, lease, 1)
    old = {"number": 0, "step": 1, "metrics": {"accuracy": 0.75}, "seconds": 2.0}
    change = update(tables.events).where(tables.events.c.kind == "trial.measured").values(data=old)
    store._database.write(lambda connection: connection.execute(change))
    [event] = [event for event in store.events(after=0) if event.kind == "trial.measured"]
    assert (event.trial_id, event.data) == (trial_id, old)


def test_an_event_whose_measurement_is_gone_still_counts_for_its_page(store: Store, lease: Lease) -> None:
    _measure(store, lease, 3)
    store._database.write(lambda connection: connection.execute(text("DELETE FROM measurements")))
    events = [event for event in store.events(after=0) if event.kind == "trial.measured"]
    assert [event.data for event in events] == [
        {"number": 0, "step": step, "metrics": {}, "seconds": 0.0} for step in (1, 2, 3)
    ]


def _forget(store: Store, before: float, limit: int) -> int:
    """Remove old events in steps; return the number of steps."""
    position: int | None = 0
    steps = 0
    while (position := store.forget_events(before, after=position or 0, limit=limit)) is not None:
        steps += 1
    return steps


def test_old_events_are_removed_step_by_step_and_new_events_stay(database_url: str) -> None:
    clock = Clock()
    store = Store.open(database_url, clock=clock)
    for _ in range(10):
        store.create_job(a_spec())
    deleted = store.create_job(a_spec())[0]
    store.delete_job(deleted.id)
    clock.now += 10 * DAY
    recent = [store.create_job(a_spec())[0].id for _ in range(3)]
    last = store.last_sequence()
    assert _forget(store, clock.now - 5 * DAY, limit=4) >= 3
    kept = store.events(after=0)
    assert [event.job_id for event in kept] == [deleted.id, *recent]
    assert store.deleted_jobs([deleted.id, recent[0]]) == {deleted.id}
    assert store.missing_jobs([deleted.id, recent[0], "never"]) == [deleted.id, "never"]
    assert _forget(store, clock.now - 5 * DAY, limit=4) <= 1
    assert store.last_sequence() == last
    store.close()


def test_a_reader_goes_on_after_all_events_were_removed(database_url: str) -> None:
    clock = Clock()
    store = Store.open(database_url, clock=clock)
    store.create_job(a_spec())
    position = store.last_sequence()
    clock.now += 10 * DAY
    _forget(store, clock.now, limit=100)
    assert store.events(after=0) == []
    new = store.create_job(a_spec())[0]
    events: list[Event] = store.events(after=position)
    assert [event.job_id for event in events] == [new.id]
    assert events[0].sequence > position
    store.close()


def test_the_log_of_sqlite_is_emptied_after_large_writes(sqlite_url: str) -> None:
    store = Store.open(sqlite_url)
    log = Path(f"{sqlite_url.removeprefix('sqlite:///')}-wal")
    for _ in range(20):
        store.create_job(a_spec())
    assert log.stat().st_size > 0
    store.shorten_log()
    assert log.stat().st_size == 0
    assert len(store.jobs()) == 20
    limit = store._database.read(lambda connection: connection.execute(text("PRAGMA journal_size_limit")).scalar())
    assert limit == 64_000_000
    store.close()

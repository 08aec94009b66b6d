"""Whatever a task or an algorithm hands over: a value is stored or refused at once, and the next write succeeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchsvc.domain import FileMade, Lease, Measurement, Outcome, TrialState, new_id
from searchsvc.errors import NotFound, Unstorable
from searchsvc.store import JobWriter, Store
from searchsvc.store.batch import WriteBatch
from tests.support.jobs import a_claimed_job, a_proposal, add_trials
from workers.driver.__main__ import _note_crash

NUMBERS = st.one_of(
    st.floats(),
    st.integers(),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400, np.float32(0.5), np.float64(math.nan), np.int64(3)]),
    st.booleans(),
    st.none(),
)
TEXTS = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(["\0", "\ud800", "a" * 300, "x" * 70])
ODD = st.recursive(
    NUMBERS | TEXTS | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.integers(), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(TEXTS | st.integers() | st.none(), ODD, max_size=4)
METRICS = st.dictionaries(TEXTS, NUMBERS | ODD, max_size=4) | st.dictionaries(
    st.just("accuracy"), st.floats(allow_nan=False, allow_infinity=False)
)


def _measured(writer: JobWriter, trial: str, draw: Any) -> None:
    measurement = Measurement(draw(NUMBERS), draw(METRICS), draw(NUMBERS))
    writer.measure(trial, measurement, measurement)


def _finished(writer: JobWriter, trial: str, draw: Any) -> None:
    files = (FileMade(draw(TEXTS), draw(NUMBERS), draw(TEXTS)),)
    writer.finish(
        trial, draw(st.integers(0, 3)), Outcome(TrialState.SUCCEEDED, None, draw(TEXTS), files), draw(NUMBERS)
    )


FRESH = count(1_000_000)


def _added(writer: JobWriter, _: str, draw: Any) -> None:
    odd_number = draw(st.sampled_from([None, True, 1.0, 2**31]) | st.none().map(lambda _: next(FRESH)))
    odd = a_proposal(1, costs=draw(METRICS), rejected=draw(METRICS), asks=draw(NUMBERS))
    writer.add_trials([(new_id(), next(FRESH), a_proposal(1)), (new_id(), odd_number, odd)])


OPERATIONS: dict[str, Callable[[JobWriter, str, Any], None]] = {
    "add_trials": _added,
    "start_attempt": lambda writer, trial, draw: writer.start_attempt(
        trial, draw(NUMBERS), draw(TEXTS), draw(NUMBERS), draw(NUMBERS)
    ),
    "measure": _measured,
    "wait_reason": lambda writer, trial, draw: writer.wait_reason(trial, draw(TEXTS)),
    "finish": _finished,
    "record_test": lambda writer, trial, draw: writer.record_test(trial, draw(METRICS)),
    "count_rejections": lambda writer, _, draw: writer.count_rejections(draw(METRICS), draw(st.integers(0, 9))),
    "record_round": lambda writer, _, draw: writer.record_round(draw(NUMBERS), draw(DOCUMENTS)),
    "event": lambda writer, _, draw: writer.event(draw(TEXTS), draw(DOCUMENTS)),
}


@pytest.fixture
def lease(store: Store) -> Lease:
    return a_claimed_job(store)[1]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_odd_value_is_stored_or_refused_before_it_is_collected(
    store: Store, lease: Lease, operation: Callable[[JobWriter, str, Any], None], data: st.DataObject
) -> None:
    [trial] = add_trials(store, lease, 1, first=len(store.all_trials(lease.job_id)))
    writer = store.writer(lease)
    try:
        operation(writer, trial, data.draw)
    except Unstorable:
        assert len(writer) == 0
    writer.flush()
    writer.event("next", {})
    writer.flush()
    store.all_trials(lease.job_id)
    store.best_trials(lease.job_id, 3, then=store.job(lease.job_id).spec.objectives)
    assert store.latest_events(lease.job_id, 1)[0].kind == "next"


def _poisoned(writer: JobWriter, operation: Callable[[WriteBatch], None]) -> JobWriter:
    """Collect an operation that passes no check, as an error in the checks would."""
    writer._collect(operation)
    return writer


def _too_long(batch: WriteBatch) -> None:
    if batch.change.connection.dialect.name == "sqlite":
        raise ValueError("a text is too long")
    batch.change.values["state"] = "x" * 1000


def _not_a_number(batch: WriteBatch) -> None:
    batch.change.values["rejected"] = {"flops": math.nan}


@pytest.fixture(params=[_too_long, _not_a_number], ids=["too long", "not a number"])
def poison(request: pytest.FixtureRequest) -> Callable[[WriteBatch], None]:
    made: Callable[[WriteBatch], None] = request.param
    return made


def test_a_batch_that_the_database_refuses_is_reported_and_not_sent_again(
    store: Store, lease: Lease, poison: Callable[[WriteBatch], None]
) -> None:
    writer = _poisoned(store.writer(lease), poison)
    with pytest.raises(
        Unstorable, match=r"1 writes are dropped, as they cannot be stored: .*(too long|JSON compliant)"
    ):
        writer.flush()
    assert len(writer) == 0
    writer.event("next", {})
    writer.flush()
    assert store.latest_events(lease.job_id, 1)[0].kind == "next"


def test_a_write_to_a_trial_that_does_not_exist_is_not_sent_again(store: Store, lease: Lease) -> None:
    writer = store.writer(lease)
    writer.wait_reason("no such trial", "why")
    with pytest.raises(NotFound):
        writer.flush()
    assert len(writer) == 0


def test_a_crash_is_stored_although_the_writes_before_it_cannot_be(
    store: Store, lease: Lease, poison: Callable[[WriteBatch], None]
) -> None:
    writer = _poisoned(store.writer(lease), poison)
    _note_crash(writer, "Traceback ...")
    event = store.latest_events(lease.job_id, 1)[0]
    assert (event.kind, event.data["traceback"]) == ("job.driver_crashed", "Traceback ...")

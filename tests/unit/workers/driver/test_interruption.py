"""Reasons to leave a Tune run at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from searchsvc.domain import JobState
from searchsvc.errors import NothingFeasible
from tests.support.driver_parts import DriverParts
from workers.driver.interruption import Interrupted, Reason, interrupting

Drivers = Callable[..., DriverParts]


def test_errors_of_the_service_pass_through_tune_as_an_interruption() -> None:
    error = NothingFeasible("no candidate keeps the constraints")
    with pytest.raises(Interrupted) as raised, interrupting():
        raise error
    assert (raised.value.reason, raised.value.error) == (Reason.ERROR, error)
    assert not isinstance(raised.value, Exception)  # Tune handles exceptions itself


def test_errors_of_the_program_stay_what_they_are() -> None:
    with pytest.raises(KeyError), interrupting():
        raise KeyError("a bug")


def test_a_job_without_requests_is_not_interrupted(driver: Drivers) -> None:
    driver().requests.check()


@pytest.mark.parametrize(
    ("verb", "reason"), [("cancel_job", Reason.CANCEL), ("pause_job", Reason.PAUSE)], ids=["cancel", "pause"]
)
def test_a_request_of_the_user_interrupts_once_the_heartbeat_has_read_it(
    driver: Drivers, verb: str, reason: Reason
) -> None:
    parts = driver()
    getattr(parts.store, verb)(parts.job_id)
    parts.requests.check()
    parts.heartbeat.beat()
    with pytest.raises(Interrupted) as raised:
        parts.requests.check()
    assert raised.value.reason is reason


def test_a_request_of_the_user_comes_before_the_end_of_the_service(driver: Drivers) -> None:
    parts = driver()
    parts.requests.shutdown = True
    parts.store.cancel_job(parts.job_id)
    parts.heartbeat.beat()
    with pytest.raises(Interrupted) as raised:
        parts.requests.check()
    assert raised.value.reason is Reason.CANCEL


def test_a_stop_is_no_interruption_of_running_trials(driver: Drivers) -> None:
    parts = driver()
    parts.store.stop_job(parts.job_id)
    parts.heartbeat.beat()
    assert parts.heartbeat.job.state is JobState.STOPPING
    parts.requests.check()

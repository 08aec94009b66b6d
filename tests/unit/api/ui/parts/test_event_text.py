"""Events in words."""

from __future__ import annotations

from typing import Any

import pytest

from api.ui.parts.event_text import describe_event
from searchsvc.domain import Event
from searchsvc.service.service import Service
from tests.support.pages import Running, record_rounds


def test_every_event_has_words(service: Service, search: Running) -> None:
    record_rounds(search, 1)
    service.jobs.pause(search.id)
    events = service.events.latest(search.id, 300)
    words_by_kind = {event.kind: describe_event(event, 3, search.job.spec) for event in events}
    assert words_by_kind["trial.finished"].startswith("trial 3 ")
    assert words_by_kind["trial.proposed"] == "trial 3 was proposed"
    assert "early_stop_epoch=3" in words_by_kind["round.finished"]
    stops = [event for event in events if event.data.get("state") == "STOPPED"]
    assert "asha: below the best third" in describe_event(stops[0], 6, search.job.spec)


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("job.succeeded", {"trials_cancelled": 0}, "the job succeeded"),
        ("job.cancelled", {"trials_cancelled": 2}, "the job was cancelled: cancelled 2 trials"),
        (
            "job.failed",
            {"reason": "lost", "trials_cancelled": 1},
            "the job failed: lost, cancelled 1 trial",
        ),
        ("job.queued", {}, "the job waits for a driver"),
    ],
)
def test_the_end_of_a_job_is_told_in_words(search: Running, kind: str, data: dict[str, Any], words: str) -> None:
    assert describe_event(Event(1, search.id, None, kind, data, 0.0), None, search.job.spec) == words


def test_a_trial_starts_on_an_address(service: Service, search: Running) -> None:
    started = next(event for event in service.events.latest(search.id, 300) if event.kind == "trial.started")
    assert describe_event(started, 3, search.job.spec) == "trial 3 started (attempt 1) on 10.0.0.7"

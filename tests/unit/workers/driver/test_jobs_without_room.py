"""A job none of whose trials can start waits, with the reason, and not longer than until one can."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from searchsvc.domain import Candidate, Proposal
from workers.driver.attempts import ActiveAttempt
from workers.driver.heartbeat import UsedTime
from workers.driver.ledger import OpenTrial
from workers.driver.waiting import WaitingReasons

SHORTAGE = "needs 1 GPU; the cluster has no GPU"
FULL = "the artifacts volume is full"


class Site:
    """The waiting reasons of a job with attempts in given places, at a time of the test's choice."""

    def __init__(self, *attempts: ActiveAttempt, shortage: str | None = None, storage: str | None = None) -> None:
        self.now = 100.0
        self._used = UsedTime()
        heartbeat: Any = SimpleNamespace(nodes=(), wait_for=self._used.wait)
        ledger: Any = SimpleNamespace(waiting=[], explain=lambda *_: None)
        placement: Any = SimpleNamespace(
            nodes=lambda: (),
            slots=lambda: 1,
            why_waiting=lambda _: shortage or "its worker is starting",
            shortage=lambda _: shortage,
        )
        self.volume = SimpleNamespace(reason=storage)
        volume: Any = self.volume
        self.attempts = {attempt.trial.id: attempt for attempt in attempts}
        self._waiting = WaitingReasons(ledger, heartbeat, placement, self.attempts, volume, clock=lambda: self.now)

    def look(self, *, after: float) -> str | None:
        """Return the reason why the job waits, some seconds later."""
        self.now += after
        self._waiting.update()
        return self._used.reason


def attempt(name: str, *, actor: object = None) -> ActiveAttempt:
    trial = OpenTrial(name, 0, Proposal(Candidate({"x": 1}), asks=1, told=0))
    return ActiveAttempt(trial, submitted=100.0, actor=actor)


def test_a_job_waits_if_the_cluster_has_room_for_none_of_its_trials() -> None:
    site = Site(attempt("a"), attempt("b"), shortage=SHORTAGE)
    assert site.look(after=1.0) is None
    assert site.look(after=2.0) == SHORTAGE
    site.attempts["a"].actor = object()
    assert site.look(after=2.0) is None


def test_a_job_whose_workers_start_does_not_wait() -> None:
    assert Site(attempt("a")).look(after=30.0) is None


def test_a_job_with_a_running_trial_does_not_wait() -> None:
    assert Site(attempt("a", actor=object()), attempt("b"), shortage=SHORTAGE).look(after=30.0) is None


def test_a_job_without_attempts_does_not_wait() -> None:
    assert Site(shortage=SHORTAGE).look(after=30.0) is None


def test_a_job_waits_for_storage_once_nothing_runs() -> None:
    site = Site(attempt("a", actor=object()), storage=FULL)
    assert site.look(after=2.0) is None
    site.attempts.clear()
    assert site.look(after=2.0) == FULL
    site.volume.reason = None
    assert site.look(after=2.0) is None

"""Asks in a background thread: what arrives meanwhile is stored at once, and told afterwards, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from searchsvc.domain import TrialState
from searchsvc.errors import NothingFeasible
from searchsvc.proposing.proposer import Proposer
from tests.support.driver_parts import DriverParts
from workers.driver import ledger as ledger_module

Drivers = Callable[..., DriverParts]
HANG_SECONDS = 60.0


class SlowAsks:
    """Lets a test hold up the asks of a proposer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_go, self.began = threading.Event(), threading.Event()
        self.may_go.set()
        self.error: Exception | None = None
        self.has_none = False
        """True if the algorithm waits for results."""
        propose = Proposer.propose

        def slow(proposer: Proposer, count: int, **options: Any) -> Any:
            self.began.set()
            assert self.may_go.wait(HANG_SECONDS)
            if self.error is not None:
                raise self.error
            return [] if self.has_none else propose(proposer, count, **options)

        monkeypatch.setattr(Proposer, "propose", slow)
        monkeypatch.setattr(ledger_module, "PATIENCE_SECONDS", HANG_SECONDS)
        self._monkeypatch = monkeypatch

    def hold(self) -> None:
        """Let the next ask wait, and the driver not wait for it."""
        self.may_go.clear()
        self._monkeypatch.setattr(ledger_module, "PATIENCE_SECONDS", 0.0)

    def release(self) -> None:
        self.may_go.set()
        self._monkeypatch.setattr(ledger_module, "PATIENCE_SECONDS", HANG_SECONDS)


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch) -> SlowAsks:
    return SlowAsks(monkeypatch)


def test_a_slow_ask_delays_neither_results_nor_requests(driver: Drivers, asks: SlowAsks) -> None:
    parts = driver(2)
    parts.start("a")
    parts.start("b")
    asks.hold()
    parts.end("a")
    assert parts.submit("c") is None
    assert asks.began.wait(HANG_SECONDS)
    parts.end("b")
    parts.dispatcher.tick()
    assert [(trial.state, trial.told) for trial in parts.trials()] == [
        (TrialState.SUCCEEDED, 0),
        (TrialState.SUCCEEDED, 1),
    ]
    asks.release()
    parts.start("c")
    third = parts.trials()[2]
    assert third.proposal.told == 1  # the ask began before the second result
    parts.end("c")
    parts.start("d")
    fourth = parts.trials()[3]
    assert (parts.trials()[2].told, fourth.proposal.told) == (2, 3)


@pytest.mark.parametrize("algorithm", ["random", "evolution", "tpe", "nsga2", "cmaes"])
def test_a_replay_repeats_results_that_arrived_during_an_ask(driver: Drivers, asks: SlowAsks, algorithm: str) -> None:
    whole, broken = (driver(2, algorithm={"name": algorithm}) for _ in range(2))
    for parts in (whole, broken):
        asks.release()
        parts.start("a")
        parts.start("b")
        for number in range(12):
            asks.hold()
            parts.end("a", accuracy=number / 12)
            assert parts.submit("a") is None
            parts.end("b", accuracy=1 - number / 13)
            asks.release()
            if parts is broken and number % 3 == 2:
                parts.start("a")
                parts.end("a", accuracy=0.5)
                parts.ledger.flush()
                parts.take_over()
                parts.start("a")
            else:
                parts.start("a")
                if parts is whole and number % 3 == 2:
                    parts.end("a", accuracy=0.5)
                    parts.start("a")
            parts.start("b")
    proposals = [[trial.proposal for trial in parts.trials()] for parts in (whole, broken)]
    assert proposals[0] == proposals[1]


def test_an_algorithm_that_waits_for_results_is_not_exhausted_if_one_arrived(driver: Drivers, asks: SlowAsks) -> None:
    parts = driver(1)
    parts.start("a")
    asks.hold()
    asks.has_none = True
    assert parts.ledger.next_trial(1, 9, idle=False) is None
    parts.end("a")
    asks.release()
    assert parts.ledger.next_trial(1, 9, idle=True) is None
    assert not parts.ledger.exhausted  # the algorithm has not been asked since it received the result
    assert parts.ledger.next_trial(1, 9, idle=True) is None
    assert parts.ledger.exhausted


def test_an_error_of_an_ask_reaches_the_driver(driver: Drivers, asks: SlowAsks) -> None:
    parts = driver(1)
    asks.error = NothingFeasible("no candidate keeps the constraints")
    with pytest.raises(NothingFeasible):
        parts.ledger.next_trial(1, 9, idle=True)

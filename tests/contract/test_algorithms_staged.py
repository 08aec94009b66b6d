"""Proposer with an algorithm that has stages: budgets, trials in full, rounds, histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from searchsvc.algorithms import Algorithm, Problem
from searchsvc.domain import Candidate, FailureKind, Measurement, Objective, Observation, TrialState
from searchsvc.domain.records import Proposal, Trial
from searchsvc.proposing.proposer import Proposer
from searchsvc.spaces import Integer, Space

SPACE = Space([Integer("x", 0, 9)])


class Counting(Algorithm):
    """Proposes 0, 1, 2, ...; the last two trials of a budget are the first candidates again, in full."""

    learns_from_histories = True

    def __init__(self) -> None:
        super().__init__(Problem(space=SPACE, objectives=(Objective(metric="score"),), seed=0))
        self.plans: list[tuple[int, int]] = []
        self.told: list[Observation] = []
        self._finals: set[int] = set()

    def plan(self, existing: int, budget: int) -> None:
        super().plan(existing, budget)
        self.plans.append((existing, budget))

    def ask(self, count: int) -> list[Candidate]:
        assert count == 1
        return super().ask(count)

    def tell(self, observations: Sequence[Observation]) -> None:
        self.told += [one for one in observations if one.failure is not FailureKind.INFEASIBLE]

    def is_in_full(self, asks: int) -> bool:
        return asks in self._finals

    def take_rounds(self) -> list[tuple[int, Mapping[str, Any]]]:
        return [(0, {"told": len(self.told)})]

    def _next(self, asks: int) -> Candidate:
        if self._trials_left is not None and self._trials_left <= 2:
            self._finals.add(asks)
            return Candidate({"x": 2 - self._trials_left})
        return Candidate({"x": asks - 1})


def ended(proposal: Proposal, *, stopped: bool) -> Observation:
    return Observation(proposal.candidate, {"score": 1.0}, step=2, stopped=stopped)


def test_the_last_trials_of_a_budget_repeat_stopped_candidates_in_full() -> None:
    proposer = Proposer(Counting(), SPACE)
    for number in range(5):
        [proposal] = proposer.propose(1, budget=7)
        assert not proposal.in_full
        proposer.tell(number, ended(proposal, stopped=True))
    finals = proposer.propose(2, budget=7)
    assert [(one.candidate.values["x"], one.in_full, one.answered) for one in finals] == [(0, True, ()), (1, True, ())]


def test_a_candidate_that_was_trained_to_the_end_is_answered_and_not_trained_again() -> None:
    proposer = Proposer(Counting(), SPACE)
    for number in range(5):
        [proposal] = proposer.propose(1, budget=7)
        proposer.tell(number, ended(proposal, stopped=number > 0))
    [final] = proposer.propose(1, budget=7)
    assert 0 in final.answered
    assert final.candidate.values["x"] != 0


def test_the_algorithm_receives_the_number_of_trials_and_the_budget() -> None:
    algorithm = Counting()
    Proposer(algorithm, SPACE).propose(2, existing=3, budget=9)
    assert algorithm.plans == [(3, 9), (4, 9)]


def test_without_a_job_there_is_no_end_to_plan_for() -> None:
    algorithm = Counting()
    Proposer(algorithm, SPACE).propose(2)
    assert algorithm.plans == []


def test_rounds_are_forwarded() -> None:
    assert Proposer(Counting(), SPACE).take_rounds() == [(0, {"told": 0})]


@pytest.mark.parametrize("histories", [{}, {0: (Measurement(1, {"score": 0.5}, 1.0),)}])
def test_a_replay_tells_results_with_their_histories(histories: dict[int, tuple[Measurement, ...]]) -> None:
    algorithm = Counting()
    trial = Trial(
        "id", "job", 0, TrialState.SUCCEEDED, Proposal(Candidate({"x": 0}), asks=1, told=0), None, None,
        {"score": 1.0}, 1, 1, 1.0, 0, 1, None, 0.0, 0.0, 0.0,
    )  # fmt: skip
    proposer = Proposer(algorithm, SPACE)
    assert proposer.learns_from_histories
    proposer.replay([trial], histories)
    assert [one.history for one in algorithm.told] == [histories.get(0, ())]

"""Proposer with every algorithm: hard constraints, repeats, exhausted spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from searchsvc.algorithms import ALGORITHMS, create
from searchsvc.domain import Constraint, FailureKind, Objective, Observation, Proposal
from searchsvc.errors import NothingFeasible
from searchsvc.proposing.proposer import Proposer
from searchsvc.proposing.selection import MAX_REPEATS
from searchsvc.spaces import Categorical, Float, Integer, Matrix, Space
from searchsvc.spaces.costs.model import NO_COSTS, CostModel
from tests.support.work import calls

SEARCHING = [one.name for one in ALGORITHMS.values() if one.name != "given" and not one.shares_weights]
"""The other algorithms have lists: see test_algorithms_fixed_list.py and test_algorithms_shared.py."""
QUICK = [name for name in SEARCHING if name != "gp"]
OPTIONS: dict[str, dict[str, int]] = {
    "gp": {"startup_trials": 50},
    "evolution": {"population": 4},
    "nsga2": {"population": 4},
}
USES_HARD_CONSTRAINTS = {"fbnetv3"}
"""Algorithms that use the hard constraints, so that none of their candidates is rejected."""
NEVER_REPEATS = {"fbnetv3"}
WIDE = Space([Float("x", 0.0, 1.0), Float("y", 0.0, 1.0), Categorical("c", ("a", "b"))])
SIX = Space([Categorical("a", ("p", "q", "r")), Categorical("b", (True, False))])


def flops(matrix: Matrix) -> dict[str, Matrix]:
    return {"flops": 1e6 * matrix[:, 0], "params": 10 * matrix[:, 1]}


def proposer(name: str, space: Space, *hard: Constraint, max_tries: int = 10_000, **options: Any) -> Proposer:
    cost_model = CostModel(("flops", "params"), flops) if hard else NO_COSTS
    algorithm = create(
        name,
        space=space,
        objectives=[Objective(metric="score")],
        constraints=hard,
        cost_model=cost_model,
        seed=3,
        **OPTIONS.get(name, {}),
    )
    return Proposer(algorithm, space, cost_model=cost_model, hard=hard, max_tries=max_tries, **options)


def score(proposal: Proposal) -> Observation:
    text = proposal.candidate.key
    return Observation(proposal.candidate, {"score": int(text[:4], 16) / 65536} | dict(proposal.costs), step=1)


@pytest.mark.parametrize("name", SEARCHING)
class TestHardConstraints:
    def test_only_candidates_within_them_are_proposed(self, name: str) -> None:
        limits = Constraint(metric="flops", max=2e5), Constraint(metric="params", min=5.0)
        searched = proposer(name, WIDE, *limits)
        rejected = 0
        for number in range(12):
            [proposal] = searched.propose(1)
            assert proposal.costs["flops"] <= 2e5
            assert proposal.costs["params"] >= 5.0
            assert set(proposal.rejected) <= {"flops <= 200000", "params >= 5"}
            rejected += sum(proposal.rejected.values())
            searched.tell(number, score(proposal))
        assert (rejected == 0) == (name in USES_HARD_CONSTRAINTS)

    def test_a_narrow_passage_is_found(self, name: str) -> None:
        """1 in 1,000 of the space is feasible: uniform draws help an algorithm that does not get there by itself."""
        [proposal] = proposer(name, WIDE, Constraint(metric="flops", max=1e3)).propose(1)
        assert proposal.costs["flops"] <= 1e3

    def test_infeasible_constraints_are_reported_with_the_closest_candidate(self, name: str) -> None:
        searched = proposer(name, WIDE, Constraint(metric="flops", max=-1.0), max_tries=500)
        with pytest.raises(NothingFeasible, match=r"none of \d{3} .* \d+ broke flops <= -1; the closest had flops"):
            searched.propose(1)

    def test_a_small_space_is_listed_to_detect_unreachable_constraints(self, name: str) -> None:
        searched = proposer(name, Space([Integer("x", 1, 5), Integer("y", 1, 5)]), Constraint(metric="flops", max=10.0))
        with pytest.raises(NothingFeasible, match="flops 1e"):
            searched.propose(1)


@pytest.mark.parametrize("name", SEARCHING)
class TestRunningOut:
    def test_a_space_of_six_candidates_ends_after_six_trials(self, name: str) -> None:
        searched = proposer(name, SIX)
        proposals: list[Proposal] = []
        while not searched.exhausted:
            for proposal in searched.propose(2):
                searched.tell(len(proposals), score(proposal))
                proposals.append(proposal)
        assert len({one.candidate for one in proposals}) == len(proposals) == 6
        assert searched.propose(3) == []

    def test_it_ends_if_all_candidates_are_pending(self, name: str) -> None:
        searched = proposer(name, SIX)
        assert len(searched.propose(100)) == 6
        assert searched.exhausted

    def test_only_feasible_candidates_count(self, name: str) -> None:
        space = Space([Integer("x", 1, 20), Integer("y", 1, 20)])
        searched = proposer(name, space, Constraint(metric="flops", max=1e6), Constraint(metric="params", max=30.0))
        assert len(searched.propose(100)) == 3
        assert searched.exhausted

    def test_with_repeats_it_never_ends(self, name: str) -> None:
        searched = proposer(name, SIX, repeats=True)
        assert len(searched.propose(9)) == 9
        assert not searched.exhausted


class TestRepeats:
    @pytest.mark.parametrize("name", QUICK)
    def test_a_repeated_candidate_is_answered_with_its_stored_result(self, name: str) -> None:
        """An algorithm that does not check for repeats repeats itself before it has proposed all thirty candidates."""
        searched = proposer(name, Space([Integer("x", 1, 5), Integer("y", 1, 6)]))
        answered: list[int] = []
        for number in range(30):
            [proposal] = searched.propose(1)
            assert all(one < number for one in proposal.answered)
            answered += proposal.answered
            searched.tell(number, score(proposal))
        assert searched.propose(1) == []
        assert (not answered) == (name in NEVER_REPEATS)

    def test_after_a_bounded_number_of_repeats_an_unseen_candidate_is_drawn(self) -> None:
        """Evolution's parents are nearly always the only candidate with x = 0."""
        space = Space([Integer("x", 0, 1), Float("y", 0.0, 1.0, when={"x": 1})])
        searched = proposer("evolution", space)
        for number in range(12):
            [proposal] = searched.propose(1)
            assert len(proposal.answered) <= MAX_REPEATS
            prefers_the_other = {"score": 1.0 - float(proposal.candidate.values["x"])}
            searched.tell(number, Observation(proposal.candidate, prefers_the_other))

    @pytest.mark.parametrize("name", QUICK)
    def test_a_candidate_with_the_identity_of_another_is_answered(self, name: str) -> None:
        """Only every fourth of 40 values is another network: ten trials answer all other values."""
        searched = proposer(name, Space([Integer("x", 0, 39)]), identity=lambda matrix: matrix // 4)
        answered: list[int] = []
        networks = set()
        for number in range(10):
            [proposal] = searched.propose(1)
            networks.add(int(proposal.candidate.values["x"]) // 4)
            answered += proposal.answered
            searched.tell(number, score(proposal))
        assert networks == set(range(10))
        assert answered
        assert searched.propose(1) == []
        assert searched.exhausted

    def test_a_failed_candidate_is_not_proposed_again(self) -> None:
        searched = proposer("tpe", SIX)
        for number in range(6):
            [proposal] = searched.propose(1)
            searched.tell(number, Observation(proposal.candidate, None, FailureKind.OUT_OF_MEMORY))
        assert searched.propose(1) == []


class TestNumbers:
    def test_asks_and_told_count_earlier_asks_and_results(self) -> None:
        searched = proposer("random", WIDE)
        first, second = searched.propose(2)
        assert [first.asks, second.asks, first.told, second.told] == [1, 2, 0, 0]
        assert searched.tell(1, score(second)) == 0
        assert searched.tell(0, score(first)) == 1
        assert searched.propose(1)[0].told == 2
        assert searched.next_number == 3

    def test_a_trial_told_again_gets_a_new_place(self) -> None:
        searched = proposer("tpe", WIDE)
        first, second = searched.propose(2)
        searched.tell(0, Observation(first.candidate, None, FailureKind.LOST))
        searched.tell(1, score(second))
        assert searched.tell(0, score(first)) == 2


def test_a_million_hopeless_candidates_take_less_than_a_call_each() -> None:
    """Streams are checked in blocks, without creating Candidate objects."""
    searched = proposer("random", WIDE, Constraint(metric="flops", max=1e-3), max_tries=1_000_000)
    with calls() as operations, pytest.raises(NothingFeasible, match="none of 1000000"):
        searched.propose(1)
    assert operations.count < 1_000_000


def test_rejections_are_counted_once_by_the_proposal_that_follows() -> None:
    searched = proposer("random", WIDE, Constraint(metric="flops", max=2e5))
    proposals = searched.propose(200)
    rejected = sum(one.rejected.get("flops <= 200000", 0) for one in proposals)
    assert rejected == proposals[-1].asks - 200
    assert np.isclose(200 / proposals[-1].asks, 0.2, atol=0.04)


LISTED = Space([Integer("n", 1, 30_000)])


def only_seven(matrix: Matrix) -> dict[str, Matrix]:
    return {"flops": np.abs(matrix[:, 0] - 7)}


def passage(space: Space, **options: Any) -> Proposer:
    """A proposer of a space in which only n = 7 is feasible: the random algorithm does not get there by itself."""
    hard = [Constraint(metric="flops", max=0.0)]
    model = CostModel(("flops",), only_seven)
    algorithm = create(
        "random", space=space, objectives=[Objective(metric="score")], constraints=hard, cost_model=model, seed=3
    )
    return Proposer(algorithm, space, cost_model=model, hard=hard, **options)


def test_with_repeats_a_uniform_draw_may_be_one_that_was_drawn_before() -> None:
    searched = passage(LISTED, repeats=True)
    proposals = searched.propose(3)
    assert [proposal.candidate.values["n"] for proposal in proposals] == [7, 7, 7]
    assert not searched.exhausted


def test_without_repeats_the_only_feasible_candidate_exhausts_the_space() -> None:
    searched = passage(LISTED)
    assert [proposal.candidate.values["n"] for proposal in searched.propose(3)] == [7]
    assert searched.exhausted
    assert searched.propose(1) == []

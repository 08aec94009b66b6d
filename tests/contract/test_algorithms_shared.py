"""Algorithms that share weights: a supernet, then the finalists that it names, in spite of any interruption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from searchsvc.algorithms import create
from searchsvc.domain import (
    Candidate,
    Constraint,
    FailureKind,
    Measurement,
    Objective,
    Proposal,
    Scalar,
    Trial,
    TrialKind,
    TrialState,
)
from searchsvc.errors import InvalidInput
from searchsvc.proposing.proposer import Proposer
from searchsvc.spaces import Categorical, Float, Integer, Matrix, Space
from searchsvc.spaces.costs.model import CostModel
from tests.contract.test_algorithms_replay import stored

SPACE = Space(
    [
        Integer("depth", 1, 9),
        Categorical("optimizer", ("sgd", "adam")),
        Float("momentum", 0.0, 0.9, when={"optimizer": "sgd"}),
    ]
)
ADAM = {"depth": 2, "optimizer": "adam"}
SGD = {"depth": 3, "optimizer": "sgd", "momentum": 0.1234567890123}
DEEP = {"depth": 9, "optimizer": "adam"}
ACCURACY = Objective(metric="accuracy")
HARD = Constraint(metric="flops", max=5.0)


def costs(matrix: Matrix) -> dict[str, Matrix]:
    assert not np.isnan(matrix[:, 0]).any()  # a supernet is no candidate to be judged
    return {"flops": matrix[:, 0]}


def proposer(*hard: Constraint, repeats: bool = False, **options: Any) -> Proposer:
    algorithm = create(
        "autohas", space=SPACE, objectives=[ACCURACY], constraints=hard, cost_model=costs, seed=3, **options
    )
    return Proposer(algorithm, SPACE, cost_model=CostModel.of(costs, SPACE), hard=hard, repeats=repeats)


class Search:
    """Trials as a store keeps them, with the measurements of each."""

    def __init__(self, *hard: Constraint, **options: Any) -> None:
        self.hard, self.options = hard, options
        self.proposer = proposer(*hard, **options)
        self.trials: list[Trial] = []
        self.histories: dict[int, tuple[Measurement, ...]] = {}

    def rebuild(self) -> None:
        self.proposer = proposer(*self.hard, **self.options)
        self.proposer.replay(self.trials, self.histories)

    def propose(self, count: int = 1) -> list[Proposal]:
        proposals = self.proposer.propose(count)
        self.trials += [stored(len(self.trials) + place, one) for place, one in enumerate(proposals)]
        return proposals

    def end(self, number: int, state: TrialState, finalists: Sequence[dict[str, Scalar]] = ()) -> None:
        """End a trial with two measurements, the last of which names the finalists."""
        first = {"entropy": 3.0}
        last = {**first, **named(finalists)}
        self.histories[number] = (Measurement(1, first, 1.0), Measurement(2, last, 2.0))
        failure = FailureKind.ERROR if state is TrialState.FAILED else None
        ended = replace(self.trials[number], state=state, failure=failure, metrics=last, step=2)
        place = self.proposer.tell(number, ended.observation(self.histories[number]))
        self.trials[number] = replace(ended, told=place)

    def cancel(self, number: int) -> None:
        self.trials[number] = replace(self.trials[number], state=TrialState.CANCELLED)

    def retry(self, number: int) -> None:
        self.proposer.reopen(number)
        self.trials[number] = replace(self.trials[number], state=TrialState.QUEUED, failure=None, told=None)


def named(finalists: Sequence[dict[str, Scalar]]) -> dict[str, float]:
    rows = SPACE.to_matrix([Candidate(one) for one in finalists])
    return {
        f"finalist/{rank}/{name}": float(value)
        for rank, row in enumerate(rows)
        for name, value in zip(SPACE.names, row, strict=True)
        if not np.isnan(value)
    }


def values(proposals: Sequence[Proposal]) -> list[dict[str, Scalar]]:
    assert {one.kind for one in proposals} <= {TrialKind.CANDIDATE}
    return [dict(one.candidate.values) for one in proposals]


def test_a_supernet_comes_first_and_alone() -> None:
    search = Search(HARD)
    [supernet] = search.propose(5)
    assert (supernet.kind, dict(supernet.candidate.values), supernet.costs) == (TrialKind.SUPERNET, {}, {})
    assert not supernet.may_be_stopped
    assert search.propose(5) == []
    assert not search.proposer.exhausted


def test_its_finalists_follow_in_their_order_with_exact_values_and_then_it_ends() -> None:
    search = Search()
    search.propose()
    search.end(0, TrialState.SUCCEEDED, [SGD, DEEP, ADAM])
    assert values(search.propose(2)) == [SGD, DEEP]
    assert values(search.propose(2)) == [ADAM]
    assert search.proposer.exhausted


def test_finalists_that_break_a_limit_or_repeat_are_skipped_and_not_replaced() -> None:
    search = Search(HARD)
    search.propose()
    search.end(0, TrialState.SUCCEEDED, [ADAM, *[DEEP] * 80, *[ADAM] * 30, SGD, DEEP])
    first, second = search.propose(9)
    assert values([first, second]) == [ADAM, SGD]
    assert second.rejected == {"flops <= 5": 80}
    assert search.propose() == []
    assert search.proposer.exhausted


def test_a_supernet_without_finalists_leads_to_nothing() -> None:
    search = Search()
    search.propose()
    search.end(0, TrialState.STOPPED)
    assert search.propose() == []
    assert search.proposer.exhausted


def test_a_failed_supernet_leads_to_nothing_until_it_is_retried() -> None:
    search = Search()
    search.propose()
    search.end(0, TrialState.FAILED, [ADAM])
    assert search.propose() == []
    search.retry(0)
    assert search.propose() == []
    search.end(0, TrialState.SUCCEEDED, [SGD])
    assert values(search.propose(2)) == [SGD]


@pytest.mark.parametrize("failure", FailureKind)
def test_no_failure_of_a_supernet_leads_to_another_supernet(failure: FailureKind) -> None:
    search = Search()
    search.propose()
    failed = replace(search.trials[0], state=TrialState.FAILED, failure=failure)
    search.trials[0] = replace(failed, told=search.proposer.tell(0, failed.observation()))
    assert search.propose() == []
    search.rebuild()
    assert search.propose() == []


def test_a_cancelled_supernet_is_followed_by_another_after_a_restart() -> None:
    search = Search()
    search.propose()
    search.cancel(0)
    search.rebuild()
    [another] = search.propose(3)
    assert another.kind is TrialKind.SUPERNET
    search.rebuild()
    assert search.propose() == []
    search.end(1, TrialState.SUCCEEDED, [SGD, ADAM])
    search.rebuild()
    assert values(search.propose(3)) == [SGD, ADAM]


def test_an_interruption_anywhere_does_not_change_the_proposals() -> None:
    whole, broken = Search(HARD), Search(HARD)
    for turn in range(6):
        for search in (whole, broken):
            search.propose(2)
            if turn == 1:
                search.end(0, TrialState.FAILED)
            if turn == 2:
                search.retry(0)
                search.end(0, TrialState.SUCCEEDED, [ADAM, DEEP, SGD, ADAM, {**SGD, "depth": 4}, {**SGD, "depth": 5}])
            if turn == 4:
                search.end(1, TrialState.STOPPED)
        broken.rebuild()
    assert [one.proposal for one in broken.trials] == [one.proposal for one in whole.trials]
    assert [one.told for one in broken.trials] == [one.told for one in whole.trials]
    assert values([one.proposal for one in whole.trials[1:]])[:2] == [ADAM, SGD]
    assert len(whole.trials) == 5


def test_with_repeats_a_finalist_that_is_named_twice_is_trained_twice() -> None:
    search = Search(repeats=True)
    search.propose()
    search.end(0, TrialState.SUCCEEDED, [SGD, SGD])
    assert values(search.propose(3)) == [SGD, SGD]


def test_several_objectives_are_refused_with_suitable_algorithms() -> None:
    size = Objective(metric="size", goal="minimize")
    with pytest.raises(InvalidInput, match="nsga2") as refused:
        create("autohas", space=SPACE, objectives=[ACCURACY, size])
    assert [fault.pointer for fault in refused.value.faults] == ["/name"]


@pytest.mark.parametrize(
    ("model", "message"), [(costs, "'latency' is not known before training; there are flops"), (None, "nothing is")]
)
def test_a_soft_limit_needs_a_cost_that_is_known(model: Any, message: str) -> None:
    soft = [{"metric": "latency", "max": 3.0}]
    with pytest.raises(InvalidInput, match=message) as refused:
        create("autohas", space=SPACE, objectives=[ACCURACY], cost_model=model, soft_limits=soft)
    assert [fault.pointer for fault in refused.value.faults] == ["/soft_limits/0/metric"]


def test_a_limit_may_be_hard_and_soft() -> None:
    search = Search(HARD, soft_limits=[{"metric": "flops", "max": 3.0}])
    assert search.propose()[0].kind is TrialKind.SUPERNET

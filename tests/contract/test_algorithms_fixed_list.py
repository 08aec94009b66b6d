"""`given`: a fixed list of candidates, checked as a whole and proposed in its order. Then the search ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from searchsvc.algorithms import create
from searchsvc.domain import Constraint, Objective, Observation
from searchsvc.errors import InvalidInput
from searchsvc.proposing.proposer import Proposer
from searchsvc.spaces import Categorical, Float, Integer, Matrix, Space
from searchsvc.spaces.costs.model import CostModel

SPACE = Space(
    [
        Float("lr", 0.0, 1.0, step=0.1),
        Integer("depth", 1, 4),
        Categorical("optimizer", ("sgd", "adam")),
        Float("momentum", 0.0, 0.9, when={"optimizer": "sgd"}),
    ]
)
SGD = {"lr": 0.3, "depth": 2, "optimizer": "sgd", "momentum": 0.9}
ADAM = {"lr": 0.1, "depth": 1, "optimizer": "adam"}


def costs(matrix: Matrix) -> dict[str, Matrix]:
    return {"flops": 1e6 * matrix[:, 1]}


def proposer(candidates: Sequence[dict[str, Any]], *hard: Constraint, repeats: bool = False) -> Proposer:
    algorithm = create(
        "given",
        space=SPACE,
        objectives=[Objective(metric="accuracy")],
        constraints=hard,
        cost_model=costs,
        candidates=candidates,
    )
    return Proposer(algorithm, SPACE, cost_model=CostModel.of(costs, SPACE), hard=hard, repeats=repeats)


def proposed(searched: Proposer) -> list[dict[str, Any]]:
    """Values of all proposals; each result is told before the next proposal."""
    values = []
    while not searched.exhausted:
        for proposal in searched.propose(1):
            searched.tell(len(values), Observation(proposal.candidate, {"accuracy": 0.5}))
            values.append(dict(proposal.candidate.values))
    return values


def faults(candidates: Any, *hard: Constraint) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        proposer(candidates, *hard)
    return {fault.pointer: fault.message for fault in refused.value.faults}


def test_the_list_is_proposed_in_its_order_and_then_it_ends() -> None:
    searched = proposer([SGD, ADAM])
    assert proposed(searched) == [SGD, ADAM]
    assert searched.propose(3) == []


def test_values_get_the_types_of_the_space() -> None:
    [values] = proposed(proposer([{**ADAM, "lr": 1}]))
    assert type(values["lr"]) is float


def test_a_repeated_candidate_is_answered_and_not_replaced() -> None:
    assert proposed(proposer([SGD] * 30 + [ADAM])) == [SGD, ADAM]


def test_with_repeats_each_is_trained_as_often_as_it_is_listed() -> None:
    assert proposed(proposer([SGD, SGD, ADAM, SGD], repeats=True)) == [SGD, SGD, ADAM, SGD]


def test_every_wrong_value_is_reported_with_its_pointer() -> None:
    wrong = [SGD, {**SGD, "lr": 0.25, "depth": 9}, {**ADAM, "momentum": 0.5, "colour": 1}, {"optimizer": "adam"}]
    messages = faults(wrong)
    assert set(messages) == {
        "/candidates/1/lr",
        "/candidates/1/depth",
        "/candidates/2/momentum",
        "/candidates/2/colour",
        "/candidates/3/lr",
        "/candidates/3/depth",
    }
    assert "plus a multiple of 0.1" in messages["/candidates/1/lr"]
    assert "not active" in messages["/candidates/2/momentum"]


@pytest.mark.parametrize(
    ("candidates", "pointer"),
    [([], "/candidates"), ("all", "/candidates"), ([3], "/candidates/0"), ([{"lr": []}], "/candidates/0/lr")],
)
def test_an_invalid_list_of_candidates_is_refused(candidates: Any, pointer: str) -> None:
    assert set(faults(candidates)) == {pointer}


def test_a_candidate_that_breaks_a_hard_constraint_is_refused_with_its_cost() -> None:
    messages = faults([ADAM, SGD], Constraint(metric="flops", max=1.5e6))
    assert messages == {"/candidates/1": "has flops 2e+06: the job wants flops <= 1.5e+06"}

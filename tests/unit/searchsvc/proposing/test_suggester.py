"""Suggesters: checking blocks of a stream gives the same candidates and counts as single asks."""

from __future__ import annotations

import numpy as np
import pytest

from searchsvc.algorithms import create
from searchsvc.algorithms.base import BLOCK, Stream
from searchsvc.algorithms.hard_constraints import HardConstraints
from searchsvc.domain import Constraint, Objective
from searchsvc.proposing.rejections import Rejections
from searchsvc.proposing.suggester import BlockSuggester, SingleSuggester, suggester_for
from searchsvc.spaces import Float, Matrix, Space
from searchsvc.spaces.costs.model import CostModel

SPACE = Space([Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)])
COSTS = CostModel(("flops", "params"), lambda matrix: {"flops": matrix[:, 0], "params": 10 * matrix[:, 1]})


def stream(name: str) -> Stream:
    algorithm = create(name, space=SPACE, objectives=[Objective(metric="score")], seed=3).as_stream()
    assert algorithm is not None
    return algorithm


def limits(flops: float) -> HardConstraints:
    return HardConstraints(COSTS, (Constraint(metric="flops", max=flops), Constraint(metric="params", min=1.0)))


@pytest.mark.parametrize("flops", [0.003, 0.1, 0.9, 1.0])
@pytest.mark.parametrize("name", ["random", "sobol"])
def test_blocks_and_single_asks_give_the_same_candidates(name: str, flops: float) -> None:
    constraints, blocks, singles = limits(flops), stream(name), stream(name)
    by_block = BlockSuggester(blocks, SPACE, constraints, 10_000)
    by_ask = SingleSuggester(singles, SPACE, constraints, 10_000)
    while blocks.asks < 3 * BLOCK:
        block_rejections, ask_rejections = Rejections(constraints), Rejections(constraints)
        assert by_block.suggest(block_rejections) == by_ask.suggest(ask_rejections)
        assert blocks.asks == singles.asks
        assert block_rejections.in_a_row == ask_rejections.in_a_row
        assert block_rejections.by_constraint == ask_rejections.by_constraint


@pytest.mark.parametrize("patience", [3, BLOCK - 1, BLOCK, BLOCK + 1])
def test_a_block_suggester_gives_up_once_its_patience_is_exceeded(patience: int) -> None:
    constraints, searched = limits(-1.0), stream("random")
    rejections = Rejections(constraints)
    assert BlockSuggester(searched, SPACE, constraints, patience).suggest(rejections) is None
    assert (rejections.in_a_row, searched.asks) == (patience, patience)


def test_only_streams_are_checked_in_blocks() -> None:
    constraints = limits(1.0)
    searched = create("evolution", space=SPACE, objectives=[Objective(metric="score")], seed=3)
    assert isinstance(suggester_for(stream("random"), SPACE, constraints, 500), BlockSuggester)
    assert isinstance(suggester_for(searched, SPACE, constraints, 500), SingleSuggester)


def test_the_error_names_the_closest_of_all_rejected_candidates() -> None:
    constraints = HardConstraints(COSTS, (Constraint(metric="flops", max=0.1),))
    rejections = Rejections(constraints)
    for flops in ([0.5, 0.05], [0.2, 0.9], [0.3, 0.4]):
        matrix: Matrix = SPACE.sample(2, np.random.default_rng(0))
        matrix[:, 0] = flops
        rejections.add(constraints.judge(matrix), slice(None))
    message = str(rejections.error())
    assert "none of 5 candidates" in message
    assert "5 broke flops <= 0.1; the closest had flops 0.2 (must be flops <= 0.1)" in message
    assert rejections.in_a_row == 0

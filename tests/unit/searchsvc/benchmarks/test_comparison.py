"""Shares and regrets follow their definition, even if some searches never reach the mark."""

from __future__ import annotations

import math

import pytest

from searchsvc.benchmarks import ProblemFacts, Quartiles, RunKey, Search, Trajectory, scores, targets
from searchsvc.domain import Objective

FACTS = {"p": ProblemFacts(Objective(metric="loss", goal="minimize"), 0.0)}


def search(*steps: tuple[int, float], chosen: tuple[tuple[int, float], ...] | None = None) -> Search:
    return Search(Trajectory(steps), Trajectory(chosen or steps), seconds=10.0)


def runs(algorithm: str, searches: list[Search], batch: int = 1) -> dict[RunKey, Search]:
    return {RunKey("p", algorithm, batch, seed, 100): run for seed, run in enumerate(searches)}


REFERENCE = runs("tpe", [search((1, -9.0), (80, -2.0)), search((1, -9.0), (60, -1.0)), search((1, -9.0), (99, -3.0))])


def test_the_target_is_the_median_of_the_reference_at_the_mark() -> None:
    assert targets(REFERENCE, "p") == {"found": -2.0, "chosen": -2.0}
    assert targets(REFERENCE, "p", mark=70)["found"] == -9.0


def test_a_reference_in_batches_sets_no_target() -> None:
    batched = runs("tpe", [search((1, -0.5))], batch=4)
    assert targets(REFERENCE | batched, "p")["found"] == -2.0


def test_a_share_is_the_evaluations_to_the_target_over_the_mark() -> None:
    quick = runs("gp", [search((1, -9.0), (at, -2.0)) for at in (20, 30, 40)])
    gp, tpe = scores(FACTS, REFERENCE | quick)
    assert (gp.algorithm, gp.seeds, gp.found.median) == ("gp", 3, 0.3)
    assert tpe.found.median == 0.8


def test_found_and_chosen_have_separate_targets() -> None:
    reference = runs("tpe", [search((1, -1.0), chosen=((1, -5.0),))])
    other = runs("gp", [search((7, -1.0), chosen=((9, -5.0),))])
    score = scores(FACTS, reference | other)[0]
    assert (score.found.median, score.chosen.median) == (0.07, 0.09)


def test_the_median_of_searches_that_miss_the_target_is_infinite() -> None:
    slow = runs("random", [search((1, -9.0)), search((1, -9.0)), search((1, -9.0), (50, -1.0))])
    assert scores(FACTS, REFERENCE | slow)[0].found == Quartiles((0.5 + math.inf) / 2, math.inf, math.inf)


def test_batch_sizes_have_separate_scores() -> None:
    quick = {**runs("gp", [search((10, -2.0))]), **runs("gp", [search((20, -2.0))], batch=4)}
    assert [(score.batch, score.found.median) for score in scores(FACTS, REFERENCE | quick)[:2]] == [(1, 0.1), (4, 0.2)]


def test_a_problem_without_the_reference_has_no_scores() -> None:
    assert scores(FACTS, runs("gp", [search((1, -2.0))])) == []


def test_regrets_are_distances_to_the_optimum() -> None:
    [score] = scores(FACTS, REFERENCE)
    assert score.regrets == {25: 9.0, 50: 9.0, 100: 2.0}
    assert score.seconds_per_evaluation == pytest.approx(0.1)


def test_quartiles_of_an_even_number_lie_in_the_middle() -> None:
    assert Quartiles.of([4.0, 1.0, 2.0, 3.0]) == Quartiles(1.5, 2.5, 3.5)
    assert Quartiles.of([1.0, math.inf, math.inf, math.inf]).median == math.inf

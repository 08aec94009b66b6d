"""FBNetV3 as an algorithm: its start, batches, stages and rounds, and its behaviour if results are useless."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from searchsvc.algorithms import Algorithm, create
from searchsvc.algorithms.fbnetv3.search import FbnetV3
from searchsvc.algorithms.fbnetv3.surrogate import fitted_results
from searchsvc.domain import Candidate, Constraint, FailureKind, Measurement, Objective, Observation
from searchsvc.errors import NothingFeasible
from searchsvc.proposing.proposer import Proposer
from searchsvc.spaces import Categorical, Float, Integer, Matrix, Space
from searchsvc.spaces.costs.model import CostModel
from tests.support.work import calls

SPACE = Space([*(Integer(f"width{i}", 1, 8) for i in range(4)), Float("rate", 1e-4, 1.0, log=True)])
GRID = Space([Integer(f"width{i}", 1, 6) for i in range(4)])
ACCURACY = Objective(metric="accuracy")
LIMIT = Constraint(metric="flops", max=16)


def cost_model(matrix: Matrix) -> dict[str, Matrix]:
    return {"flops": matrix[:, :4].sum(axis=1)}


def fbnetv3(space: Space = SPACE, **changes: Any) -> FbnetV3:
    arguments = {"objectives": [ACCURACY], "cost_model": cost_model, "seed": 3, **changes}
    algorithm = create("fbnetv3", space=space, **arguments)
    assert isinstance(algorithm, FbnetV3)
    return algorithm


def accuracy(candidate: Candidate) -> float:
    values = [float(candidate.values[f"width{i}"]) for i in range(4)]
    rate = float(candidate.values.get("rate", 0.01))
    loss = sum((value - best) ** 2 for value, best in zip(values, (5, 2, 6, 3), strict=True))
    return -loss - float(np.log10(rate / 0.01)) ** 2


def result(candidate: Candidate, **changes: Any) -> Observation:
    return Observation(candidate, {"accuracy": accuracy(candidate)}, step=1, **changes)


def run_search(algorithm: Algorithm, count: int) -> list[Candidate]:
    candidates = []
    for _ in range(count):
        candidates += algorithm.ask(1)
        algorithm.tell([result(candidates[-1])])
    return candidates


@pytest.mark.parametrize("space", [SPACE, GRID])
def test_two_dozen_trials_are_as_good_as_a_hundred_random_trials(space: Space) -> None:
    best = [max(map(accuracy, run_search(fbnetv3(space, seed=seed), 24))) for seed in range(3)]
    drawn = np.array([accuracy(one) for one in space.from_matrix(space.sample(9600, np.random.default_rng(0)))])
    assert np.median(best) > np.median(drawn.reshape(-1, 96).max(axis=1)) - 0.01


def test_all_proposals_keep_the_hard_constraints() -> None:
    algorithm = fbnetv3(constraints=[LIMIT])
    candidates = run_search(algorithm, 10) + algorithm.ask(4)
    assert all(cost_model(SPACE.to_matrix([one]))["flops"][0] <= 16 for one in candidates)


@pytest.mark.parametrize("space", [SPACE, GRID])
def test_the_first_batch_reaches_both_ends_of_the_costs_and_of_every_parameter(space: Space) -> None:
    matrix = space.to_matrix(fbnetv3(space).ask(8))
    drawn = cost_model(space.sample(1000, np.random.default_rng(0)))["flops"]
    flops = cost_model(matrix)["flops"]
    assert flops.min() < np.quantile(drawn, 0.05)
    assert flops.max() > np.quantile(drawn, 0.95)
    assert (np.ptp(space.to_unit(matrix), axis=0) > 0.6).all()


def test_a_batch_has_different_candidates() -> None:
    algorithm = fbnetv3(GRID)
    run_search(algorithm, 12)
    batch = algorithm.ask(8)
    assert len(set(batch)) == 8
    values = GRID.to_matrix(batch)
    assert sum(len(np.unique(column)) > 1 for column in values.T) >= 2


def test_an_ask_does_not_wait_for_pending_results() -> None:
    algorithm = fbnetv3()
    batch = algorithm.ask(6)
    algorithm.tell([result(one) for one in batch[:4]])
    assert len(algorithm.ask(3)) == 3


def test_a_candidate_that_failed_is_not_proposed_again() -> None:
    algorithm = fbnetv3(GRID)
    run_search(algorithm, 6)
    [failed] = algorithm.ask(1)
    algorithm.tell([Observation(failed, None, FailureKind.OUT_OF_MEMORY)])
    assert failed not in algorithm.ask(5)


def test_a_candidate_that_failed_counts_once_it_was_tried_again() -> None:
    algorithm = fbnetv3(GRID, batch=4, startup=4)
    run_search(algorithm, 3)
    [failed] = algorithm.ask(1)
    algorithm.tell([Observation(failed, None, FailureKind.OUT_OF_MEMORY)])
    assert algorithm.take_rounds() == []
    algorithm.resume(failed, 4)
    algorithm.tell([result(failed)])
    [(number, data)] = algorithm.take_rounds()
    assert (number, data["results"]) == (0, 4)


def test_it_learns_from_histories() -> None:
    assert fbnetv3().learns_from_histories


def test_the_first_batch_and_the_last_trials_are_trained_in_full() -> None:
    proposer = Proposer(fbnetv3(GRID, batch=4, top=2, startup=4), GRID, cost_model=CostModel.of(cost_model, GRID))
    in_full = []
    for number in range(9):
        [proposal] = proposer.propose(1, budget=9)
        in_full.append(proposal.in_full)
        proposer.tell(number, result(proposal.candidate, stopped=not proposal.in_full))
    assert in_full == [True] * 4 + [False] * 3 + [True] * 2


def test_the_last_trials_are_the_best_by_prediction_also_if_stopped_early_before() -> None:
    algorithm = fbnetv3(GRID, batch=4, top=3)
    candidates = []
    for _ in range(25):
        candidates += algorithm.ask(1)
        algorithm.tell([result(candidates[-1], stopped=len(candidates) > 4)])
    algorithm.plan(25, 28)
    finals = algorithm.ask(3)
    assert len(set(finals)) == 3
    assert max(map(accuracy, finals)) == max(map(accuracy, [*candidates, *finals]))
    assert set(finals) & set(candidates)


def test_without_a_budget_there_is_no_last_stage() -> None:
    algorithm = fbnetv3(batch=4)
    run_search(algorithm, 6)
    algorithm.ask(1)
    assert not algorithm.is_in_full(algorithm.asks)


def test_trials_are_compared_by_the_early_stop_epoch() -> None:
    """The first batch ranks at epoch 2 as at its end. Later trials end there and are compared by their values there."""
    algorithm = fbnetv3(GRID, batch=4, startup=4)
    batch = algorithm.ask(5)
    for candidate, final in zip(batch, (0.9, 0.8, 0.7, 0.6, 0.5), strict=True):
        course = [-final, final - 0.4, final - 0.3, final]
        history = tuple(Measurement(step, {"accuracy": value}, 1.0) for step, value in enumerate(course, 1))
        algorithm.tell([Observation(candidate, {"accuracy": final}, step=4, history=history)])
    [(number, data)] = algorithm.take_rounds()
    assert (number, data["results"], data["early_stop_epoch"]) == (0, 4, 2)
    predicted = algorithm._surrogate.posterior(algorithm._history.results).predictors["accuracy"].warp.values
    np.testing.assert_allclose(np.sort(predicted), np.sort(np.array([0.9, 0.8, 0.7, 0.6, 0.5]) - 0.4))


def test_every_round_reports_the_quality_of_its_predictions() -> None:
    algorithm = fbnetv3(batch=8)
    run_search(algorithm, 26)
    rounds = algorithm.take_rounds()
    assert [(number, data["results"]) for number, data in rounds] == [(0, 8), (1, 16), (2, 24)]
    assert rounds[0][1]["quality"] == {}
    for _, data in rounds[1:]:
        quality = data["quality"]["accuracy"]
        assert quality["results"] == 8
        assert -1 <= quality["low"] <= quality["high"] <= 1
        assert 0 <= quality["inside_50"] <= quality["inside_90"] <= 1
        new = algorithm._history.results[data["results"] - 8 : data["results"]]
        accuracies = [one.observation.metrics["accuracy"] for one in new]
        assert [measured for _, measured in quality["predictions"]] == pytest.approx(accuracies, rel=1e-4)
    assert algorithm.take_rounds() == []


def test_proposals_for_an_accuracy_and_a_cost_spread_along_the_front() -> None:
    algorithm = fbnetv3(GRID, objectives=[ACCURACY, Objective(metric="flops", goal="minimize")])
    candidates = run_search(algorithm, 16) + algorithm.ask(4)
    flops = cost_model(GRID.to_matrix(candidates[8:]))["flops"]
    assert flops.max() - flops.min() >= 5


def test_an_outcome_constraint_is_learned() -> None:
    algorithm = fbnetv3(GRID, cost_model=None, constraints=[Constraint(metric="latency", max=12)])
    candidates = []
    for _ in range(24):
        candidates += algorithm.ask(1)
        latency = float(sum(candidates[-1].values.values()))  # type: ignore[arg-type]
        algorithm.tell([Observation(candidates[-1], {"accuracy": accuracy(candidates[-1]), "latency": latency})])
    late = GRID.to_matrix(candidates[12:]).sum(axis=1)
    assert np.mean(late <= 12) > 0.7


@pytest.mark.parametrize("value", [0.5, float("nan"), float("inf"), None])
def test_uninformative_results_do_no_harm(value: float | None) -> None:
    algorithm = fbnetv3(GRID)
    for _ in range(9):
        [candidate] = algorithm.ask(1)
        failure = FailureKind.ERROR if value is None else None
        algorithm.tell([Observation(candidate, None if value is None else {"accuracy": value}, failure)])
    assert len(set(algorithm.ask(3))) == 3


def test_a_space_of_one_candidate_is_exhausted_after_one_trial() -> None:
    space = Space([Integer(f"width{i}", 2, 2) for i in range(4)])
    proposer = Proposer(fbnetv3(space), space, cost_model=CostModel.of(cost_model, space))
    assert len(proposer.propose(3, budget=3)) == 1
    assert proposer.exhausted


def test_limits_that_no_candidate_keeps_end_with_the_reason() -> None:
    limit = Constraint(metric="flops", max=1)
    proposer = Proposer(
        fbnetv3(constraints=[limit]), SPACE, cost_model=CostModel.of(cost_model, SPACE), hard=[limit], max_tries=300
    )
    with pytest.raises(NothingFeasible, match="flops"):
        proposer.propose(1)


def test_a_fit_lags_by_a_small_part_of_the_results() -> None:
    assert [fitted_results(n) for n in (4, 63, 65, 131)] == [4, 63, 64, 128]
    assert all(n - fitted_results(n) <= max(0, n // 32) for n in range(1, 20_000))
    assert max(n - fitted_results(n) for n in range(10_000, 20_000)) == 255


def test_an_ask_after_thousands_of_results_takes_no_more_operations() -> None:
    space = Space([*(Integer(f"width{i}", 1, 8) for i in range(4)), Categorical("a", ("p", "q")), Float("rate", 0, 1)])
    counts = []
    for results in (500, 5_000):
        algorithm = fbnetv3(space, cost_model=None)
        matrix = space.sample(results, np.random.default_rng(0))
        algorithm.tell([result(candidate) for candidate in space.from_matrix(matrix)])
        algorithm.ask(1)
        with calls() as operations:
            algorithm.ask(64)
        counts.append(operations.count)
    assert counts[1] <= 1.1 * counts[0]

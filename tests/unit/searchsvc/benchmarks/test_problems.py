"""Evaluations are noisy and repeatable, and true values are exact; a limit changes only the allowed candidates."""

from __future__ import annotations

import numpy as np
import pytest

from searchsvc.benchmarks import BenchmarkTable, Limited, SeedNoise, Tabular, noisy_problem
from searchsvc.benchmarks.problems import limit_to_share
from searchsvc.domain import Candidate, Constraint
from searchsvc.errors import InvalidInput, NotFound

BEST = Candidate({"activation": "tanh", "dropout": 0.3, "n_units": 64})


def measured(problem: SeedNoise, count: int = 50) -> list[float]:
    return [problem.evaluate(BEST, evaluation)["loss"] for evaluation in range(count)]


def test_a_table_says_the_mean_and_the_costs(table: BenchmarkTable) -> None:
    problem = Tabular(table)
    assert problem.evaluate(BEST, 0) == {"loss": problem.truth(BEST), "params": 40.0}
    assert problem.optimum == problem.truth(BEST) == table.means.min()


def test_an_evaluation_draws_every_existing_training_and_no_other(table: BenchmarkTable) -> None:
    problem = SeedNoise(Tabular(table), seed=0)
    trainings = table.values[Tabular(table).row(BEST)]
    assert set(measured(problem)) == set(trainings[~np.isnan(trainings)].tolist())


def test_the_noise_follows_from_the_seed_and_the_number_of_the_evaluation(table: BenchmarkTable) -> None:
    first, again, other = (measured(SeedNoise(Tabular(table), seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_the_truth_is_without_noise(table: BenchmarkTable) -> None:
    noisy, plain = SeedNoise(Tabular(table), 0), Tabular(table)
    assert noisy.truth(BEST) == plain.truth(BEST)
    assert noisy.optimum == plain.optimum


def test_a_limit_excludes_the_optimum_beyond_it(table: BenchmarkTable) -> None:
    plain = Tabular(table)
    limited = Limited(plain, table, Constraint(metric="params", max=20))
    small = table.costs["params"] <= 20
    assert limited.optimum == table.means[small].min() > plain.optimum
    assert limited.statement.limits == (Constraint(metric="params", max=20),)
    assert plain.statement.limits == ()


def test_limits_add_up(table: BenchmarkTable) -> None:
    once = Limited(Tabular(table), table, Constraint(metric="params", max=40))
    twice = Limited(once, table, Constraint(metric="params", min=30))
    assert twice.optimum == table.means[table.costs["params"] == 40].min()


def test_a_limit_that_leaves_nothing_is_refused(table: BenchmarkTable) -> None:
    with pytest.raises(InvalidInput, match="no candidate of the table is within params <= 1"):
        Limited(Tabular(table), table, Constraint(metric="params", max=1))


def test_the_limit_of_a_named_problem_leaves_a_quarter(table: BenchmarkTable) -> None:
    limit = limit_to_share(table, "params")
    assert np.mean(limit.excess(table.costs["params"]) == 0) == 0.25
    assert noisy_problem("table:params", table, seed=0).statement.limits == (limit,)
    assert noisy_problem("table", table, seed=0).statement.limits == ()


def test_a_limit_on_an_unknown_cost_lists_the_costs(table: BenchmarkTable) -> None:
    with pytest.raises(NotFound, match="no cost 'flops' in this table; it has params"):
        noisy_problem("table:flops", table, seed=0)

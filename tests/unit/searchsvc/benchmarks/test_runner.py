"""The runner counts evaluations, records both trajectories, and repeats a search with the same seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest

from searchsvc.benchmarks import BenchmarkTable, ProposerSearch, Search, Tabular, Trajectory, noisy_problem, run_search
from searchsvc.domain import Candidate


class Scripted:
    """Proposes a fixed list of candidates, and records the order of its calls."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = list(candidates)
        self.calls: list[object] = []

    def ask(self, count: int) -> Sequence[Candidate]:
        batch, self._candidates = self._candidates[:count], self._candidates[count:]
        self.calls.append(len(batch))
        return batch

    def tell(self, candidate: Candidate, metrics: Mapping[str, float]) -> None:
        self.calls.append((candidate, metrics["loss"]))


class TwoSided(Tabular):
    """A table whose evaluations are better for worse true values."""

    def evaluate(self, candidate: Candidate, evaluation: int) -> Mapping[str, float]:
        return {metric: -value for metric, value in super().evaluate(candidate, evaluation).items()}


def candidates(table: BenchmarkTable, *widths: int) -> list[Candidate]:
    return [Candidate({"activation": "tanh", "dropout": 0.3, "n_units": width}) for width in widths]


def searched(name: str, table: BenchmarkTable, problem: str = "table", evaluations: int = 12, batch: int = 1) -> Search:
    noisy = noisy_problem(problem, table, seed=3)
    return run_search(noisy, ProposerSearch(name, noisy.statement, 3, {}), evaluations, batch)


def test_found_is_the_best_truth_and_chosen_the_truth_of_the_best_measurement(table: BenchmarkTable) -> None:
    problem = TwoSided(table)
    order = sorted(candidates(table, 16, 32, 64, 128), key=problem.truth)
    best, *worse = [problem.truth(one) for one in order]
    search = run_search(problem, Scripted(order), 4)
    assert search.found.steps == ((1, -best),)
    assert search.chosen.steps == tuple((at, -one) for at, one in enumerate([best, *worse], 1))


def test_a_whole_batch_is_asked_for_before_its_results_are_reported(table: BenchmarkTable) -> None:
    first, second, third = candidates(table, 16, 32, 64)
    searcher = Scripted([first, second, third])
    run_search(Tabular(table), searcher, 3, batch=2)
    results = [(candidate, Tabular(table).truth(candidate)) for candidate in (first, second, third)]
    assert searcher.calls == [2, results[0], results[1], 1, results[2]]


def test_a_searcher_without_proposals_ends_the_search(table: BenchmarkTable) -> None:
    search = run_search(Tabular(table), Scripted(candidates(table, 128, 16)), 10)
    assert search.found.at(10) == search.found.at(2)


@pytest.mark.parametrize("name", ["random", "evolution", "tpe", "nsga2"])
def test_the_same_seed_gives_the_same_search(name: str, table: BenchmarkTable) -> None:
    first, again = (searched(name, table, batch=4) for _ in range(2))
    assert (first.found, first.chosen) == (again.found, again.chosen)


def test_a_search_through_the_proposer_goes_through_a_whole_table_once(table: BenchmarkTable) -> None:
    assert searched("evolution", table, evaluations=24).found.at(24) == -table.means.min()


def test_only_candidates_within_the_limits_are_evaluated(table: BenchmarkTable) -> None:
    problem = noisy_problem("table:params", table, seed=0)
    searcher = ProposerSearch("evolution", problem.statement, 0, {})
    proposed = []
    while batch := searcher.ask(1):
        proposed += batch
        searcher.tell(batch[0], problem.evaluate(batch[0], len(proposed)))
    assert sorted(candidate.key for candidate in proposed) == sorted({candidate.key for candidate in proposed})
    assert {candidate.values["n_units"] for candidate in proposed} == {16}
    assert len(proposed) == 6


def test_a_trajectory_has_values_and_first_evaluations_at_targets() -> None:
    trajectory = Trajectory.of([1.0, 1.0, 3.0, 2.0, 2.0, 5.0])
    assert trajectory.steps == ((1, 1.0), (3, 3.0), (4, 2.0), (6, 5.0))
    assert [trajectory.at(evaluation) for evaluation in (1, 2, 3, 5, 6, 100)] == [1.0, 1.0, 3.0, 2.0, 5.0, 5.0]
    assert [trajectory.evaluations_to(target) for target in (0.5, 2.5, 3.0, 4.0, 6.0)] == [1, 3, 3, 6, math.inf]

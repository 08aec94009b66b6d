"""Evolution: its parents are the newest results, and a child differs from its parent in a single parameter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from searchsvc.algorithms import Algorithm, create
from searchsvc.domain import Candidate, Constraint, Objective, Observation
from searchsvc.spaces import Categorical, Float, Integer, Space

NUMBERS = Space([Float(f"x{i}", 0.0, 1.0) for i in range(4)])
CHOICES = Space([Categorical(f"c{i}", tuple("abcdefgh")) for i in range(6)])
COARSE = Space([Integer("n", 1, 2), Float("x", 0.0, 1.0)])


def evolution(space: Space, **options: Any) -> Algorithm:
    constraints = options.pop("constraints", ())
    return create(
        "evolution", space=space, objectives=[Objective(metric="accuracy")], constraints=constraints, seed=3, **options
    )


def told(algorithm: Algorithm, *results: tuple[dict[str, Any], float], **metrics: float) -> Algorithm:
    for values, accuracy in results:
        algorithm.tell([Observation(Candidate(values), {"accuracy": accuracy, **metrics}, step=1)])
    return algorithm


def changes(child: Candidate, parent: dict[str, Any]) -> list[str]:
    return [name for name, value in parent.items() if child.values[name] != value]


def all_of(letter: str) -> dict[str, Any]:
    return {f"c{i}": letter for i in range(6)}


def test_parents_are_the_newest_members_of_the_population_only() -> None:
    """The oldest result is the best, but it has died; with a large tournament, the best of the newest two wins."""
    algorithm = evolution(CHOICES, population=2, tournament=60)
    told(algorithm, (all_of("a"), 0.9), (all_of("b"), 0.5), (all_of("c"), 0.1))
    children = algorithm.ask(20)
    assert [len(changes(child, all_of("b"))) for child in children] == [1] * 20


def test_candidates_are_drawn_uniformly_until_the_population_is_full() -> None:
    algorithm = told(evolution(CHOICES, population=2, tournament=60), (all_of("a"), 0.9))
    assert max(len(changes(child, all_of("a"))) for child in algorithm.ask(5)) > 2
    told(algorithm, (all_of("b"), 0.5))
    assert [len(changes(child, all_of("a"))) for child in algorithm.ask(5)] == [1] * 5


@pytest.mark.parametrize(("step", "least", "most"), [(0.2, 0.08, 0.3), (0.02, 0.008, 0.03)])
def test_a_number_mutates_by_steps_of_the_option(step: float, least: float, most: float) -> None:
    parent = {f"x{i}": 0.5 for i in range(4)}
    children = told(evolution(NUMBERS, population=2, step=step), (parent, 0.9), (parent, 0.5)).ask(100)
    changed = [changes(child, parent) for child in children]
    assert {len(names) for names in changed} == {1}
    assert {names[0] for names in changed} == set(parent)
    moves = np.array([float(child.values[name]) - 0.5 for child, [name] in zip(children, changed, strict=True)])
    assert least < np.median(np.abs(moves)) < most  # 0.67 steps for a normal distribution
    assert 0.2 < np.mean(moves > 0) < 0.8
    assert all(0.0 <= float(child.values[name]) <= 1.0 for child in children for name in parent)


def test_a_number_with_two_values_changes_to_the_other() -> None:
    parent = {"n": 1, "x": 0.5}
    children = told(evolution(COARSE, population=2), (parent, 0.9), (parent, 0.5)).ask(60)
    values = [child.values["n"] for child in children if changes(child, parent) == ["n"]]
    assert len(values) > 10
    assert set(values) == {2}


def test_a_member_that_breaks_a_constraint_loses_every_tournament() -> None:
    algorithm = evolution(CHOICES, population=2, tournament=60, constraints=[Constraint(metric="latency_ms", max=5.0)])
    told(algorithm, (all_of("a"), 0.9), latency_ms=6.0)
    told(algorithm, (all_of("b"), 0.1), latency_ms=5.0)
    assert [len(changes(child, all_of("b"))) for child in algorithm.ask(10)] == [1] * 10

"""The contract of every algorithm, on every space and for any results; options are each method's example."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from searchsvc.algorithms import ALGORITHMS, Algorithm, create, validate_options
from searchsvc.domain import Candidate, Constraint, FailureKind, Objective, Observation, Scalar
from searchsvc.errors import InvalidInput
from searchsvc.spaces import Basis, Categorical, Float, Integer, Matrix, Space

OPTIONS = {name: entry.options.example for name, entry in ALGORITHMS.items() if not entry.shares_weights}
"""Small values, so that every method has left its startup after a few results."""
COUNT = {"gp": 6}
"""Number of candidates to check; fewer if each takes a while."""

SEVERAL_OBJECTIVES = [name for name in OPTIONS if name != "cmaes"]

SPACES = {
    "flat": Space([Float("x", -1.0, 1.0), Float("y", 0.0, 1.0)]),
    "conditional": Space(
        [
            Categorical("optimizer", ("sgd", "adam")),
            Float("momentum", 0.0, 0.99, when={"optimizer": "sgd"}),
            Categorical("nesterov", (True, False), when={"optimizer": "sgd"}),
            Float("dampening", 0.0, 1.0, when={"nesterov": False}),
            Integer("depth", 1, 3),
            Float("last_rate", 0.0, 1.0, when={"depth": [2, 3], "optimizer": "adam"}),
        ]
    ),
    "mixed": Space(
        [
            Float("rate", 1e-5, 1.0, log=True),
            Integer("width", 1, 1000, log=True),
            Integer("kernel", 3, 9, step=2),
            Integer("uneven", 1, 9, step=3),
            Float("dropout", 0.1, 0.55, step=0.1),
            Categorical("activation", ("relu", 2, 0.5, True)),
        ]
    ),
    "choices": Space([Categorical("a", tuple("pqrst")), Categorical("b", (1, 2, 4)), Categorical("c", (True, False))]),
    "single": Space([Categorical("only", ("one",)), Integer("fixed", 3, 3), Float("x", 0, 1), Float("pinned", 2, 2)]),
    "basis": Space(
        [
            Categorical("optimizer", ("sgd", "adam")),
            Basis("lr", (0.1, 0.001, 0.02)),
            Basis("momentum", (0.0, 0.9, 0.99), when={"optimizer": "sgd"}),
        ]
    ),
    "one": Space([Float("x", 1e-3, 1.0, log=True)]),
}
ACCURACY = Objective(metric="accuracy")
SIZE = Objective(metric="size", goal="minimize")


def create_algorithm(
    name: str, space: Space, *, objectives: Sequence[Objective] = (ACCURACY,), seed: int = 7
) -> Algorithm:
    return create(
        name,
        space=space,
        objectives=objectives,
        constraints=[Constraint(metric="latency", max=0.5)],
        seed=seed,
        **OPTIONS[name],
        **(fixed_list_of(space) if name == "given" else {}),
    )


def fixed_list_of(space: Space, count: int = 40) -> dict[str, list[dict[str, Scalar]]]:
    """Candidates of this space for `given`."""
    candidates = space.from_matrix(space.sample(count, np.random.default_rng(1)))
    return {"candidates": [dict(one.values) for one in candidates]}


def metrics_of(candidate: Candidate) -> dict[str, float]:
    """Metrics that depend only on the values."""
    score = sum(as_number(name, value) for name, value in candidate.values.items())
    return {"accuracy": float(np.cos(score)), "size": float(np.sin(3 * score)), "latency": float(np.sin(score) ** 2)}


def as_number(name: str, value: object) -> float:
    return float(value) if isinstance(value, int | float) else len(name) * len(str(value))


def success(candidate: Candidate, *, step: int = 9, stopped: bool = False) -> Observation:
    return Observation(candidate, metrics_of(candidate), step=step, stopped=stopped)


def run_search(algorithm: Algorithm, count: int) -> list[Candidate]:
    """Ask for single candidates, and tell each result at once."""
    candidates = []
    for _ in range(count):
        candidates += algorithm.ask(1)
        algorithm.tell([success(candidates[-1])])
    return candidates


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("name", OPTIONS)
class TestOnEverySpace:
    def test_candidates_lie_in_the_space(self, name: str, space: Space) -> None:
        candidates = run_search(create_algorithm(name, space), COUNT.get(name, 12))
        assert all(space.contains(one) is None for one in candidates)

    def test_pending_failed_and_stopped_trials_do_no_harm(self, name: str, space: Space) -> None:
        algorithm = create_algorithm(name, space)
        run_search(algorithm, 4)
        first, second, third, fourth = algorithm.ask(4)
        algorithm.tell([success(third, step=1, stopped=True), Observation(first, None, FailureKind.OUT_OF_MEMORY)])
        algorithm.tell([Observation(second, None, FailureKind.INFEASIBLE)])
        algorithm.tell([])
        candidates = algorithm.ask(2)
        algorithm.tell([Observation(fourth, {"accuracy": float("nan")}), Observation(candidates[0], {"size": 1.0})])
        candidates += algorithm.ask(2)
        assert [space.contains(one) for one in candidates] == [None] * 4

    def test_asking_for_several_equals_asking_one_by_one(self, name: str, space: Space) -> None:
        together, apart = create_algorithm(name, space), create_algorithm(name, space)
        run_search(together, 5)
        run_search(apart, 5)
        assert together.ask(2) == [apart.ask(1)[0] for _ in range(2)]
        assert together.asks == apart.asks == 7

    def test_the_values_have_the_types_of_the_space(self, name: str, space: Space) -> None:
        kinds = {"integer": int, "float": float, "basis": float}
        for candidate in run_search(create_algorithm(name, space), 6):
            for parameter, value in candidate.values.items():
                kind = kinds.get(space[parameter].type)
                assert type(value) is kind if kind else any(value is one for one in space[parameter].choices)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [*OPTIONS, "autohas"])
def test_a_cost_model_of_a_user_is_never_called_with_an_empty_matrix(name: str) -> None:
    """The search asks for all 24 candidates of the space, so that none remains. `cmaes` needs numeric parameters."""
    space = Space([Integer("width", 1, 8), Integer("depth", 1, 3)])

    def costs(matrix: Matrix) -> dict[str, Matrix]:
        if not len(matrix):
            raise ValueError("called with an empty matrix")
        return {"flops": matrix[:, 0] * matrix[:, 1]}

    limits = [Constraint(metric="flops", max=20.0)]
    options: Mapping[str, Any] = OPTIONS.get(name, {})
    if name == "given":
        options = {"candidates": [{"width": width, "depth": 2} for width in range(1, 9)]}
    algorithm = create(name, space=space, objectives=[ACCURACY], constraints=limits, cost_model=costs, **options)
    for _ in range(26):
        algorithm.tell([success(candidate) for candidate in algorithm.ask(1) if candidate.values])
    assert algorithm.asks > 0


class TestSeeds:
    @pytest.mark.parametrize("name", [name for name in OPTIONS if name != "given"])
    def test_different_seeds_give_different_proposals(self, name: str) -> None:
        first, second = (run_search(create_algorithm(name, SPACES["mixed"], seed=seed), 3) for seed in (1, 2))
        assert first != second

    @pytest.mark.parametrize("name", OPTIONS)
    def test_the_same_seed_proposes_the_same_in_another_process(self, name: str) -> None:
        expected = [dict(one.values) for one in run_search(create_algorithm(name, SPACES["conditional"]), 9)]
        program = (
            f"import importlib.util, json; spec = importlib.util.spec_from_file_location('suite', {__file__!r}); "
            "suite = importlib.util.module_from_spec(spec); spec.loader.exec_module(suite); "
            f"algorithm = suite.create_algorithm({name!r}, suite.SPACES['conditional']); "
            "print(json.dumps([dict(candidate.values) for candidate in suite.run_search(algorithm, 9)]))"
        )
        environment = {"PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "2"}
        command = [sys.executable, "-c", program]
        process = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        assert json.loads(process.stdout) == expected
        assert process.stderr == ""


@pytest.mark.parametrize("name", OPTIONS)
class TestTelling:
    def test_a_batch_may_be_told_in_any_order(self, name: str) -> None:
        space = SPACES["mixed"]
        algorithm = create_algorithm(name, space)
        for _ in range(3):
            batch = algorithm.ask(3)
            algorithm.tell([success(one) for one in reversed(batch)])
        assert space.contains(algorithm.ask(1)[0]) is None

    def test_a_failure_leaves_no_trace_but_the_ask(self, name: str) -> None:
        failing, other = create_algorithm(name, SPACES["flat"]), create_algorithm(name, SPACES["flat"])
        run_search(failing, 5)
        run_search(other, 5)
        [failed] = failing.ask(1)
        [_] = other.ask(1)
        failing.tell([Observation(failed, None, FailureKind.ERROR)])
        failing.resume(failed, 6)
        assert failing.ask(2) == other.ask(2)

    def test_results_of_candidates_that_were_never_asked_for_are_accepted(self, name: str) -> None:
        space = SPACES["conditional"]
        warm = space.from_matrix(space.sample(8, np.random.default_rng(5)))
        algorithm = create_algorithm(name, space)
        algorithm.tell([success(one) for one in warm])
        assert all(space.contains(one) is None for one in algorithm.ask(2))

    def test_a_metric_outside_an_outcome_constraint_is_accepted(self, name: str) -> None:
        algorithm = create_algorithm(name, SPACES["flat"])
        for latency in (0.1, 0.9, 0.4, 2.0, 0.2, 0.3):
            [candidate] = algorithm.ask(1)
            algorithm.tell([Observation(candidate, {"accuracy": 0.5 + latency / 10, "latency": latency}, step=9)])
        [candidate] = algorithm.ask(1)
        algorithm.tell([Observation(candidate, {"accuracy": 0.5}, step=9)])  # the limit's metric was not measured
        assert SPACES["flat"].contains(algorithm.ask(1)[0]) is None


@pytest.mark.parametrize("name", SEVERAL_OBJECTIVES)
class TestSeveralObjectives:
    @pytest.mark.parametrize("space", ["conditional", "mixed"])
    def test_candidates_lie_in_the_space(self, name: str, space: str) -> None:
        algorithm = create_algorithm(name, SPACES[space], objectives=(ACCURACY, SIZE))
        candidates = run_search(algorithm, COUNT.get(name, 9))
        pending = algorithm.ask(1)
        algorithm.tell([success(pending[0], step=2, stopped=True)])
        assert all(SPACES[space].contains(one) is None for one in candidates + algorithm.ask(2))


class TestTheTable:
    def test_this_suite_runs_every_algorithm(self) -> None:
        assert set(OPTIONS) == {one.name for one in ALGORITHMS.values() if not one.shares_weights}

    def test_an_unknown_name_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(InvalidInput, match="did you mean 'evolution'") as caught:
            create("evolutoin", space=SPACES["flat"], objectives=[ACCURACY])
        assert [fault.pointer for fault in caught.value.faults] == ["/name"]

    def test_an_unknown_option_is_answered_with_the_existing_options(self) -> None:
        with pytest.raises(InvalidInput, match="startup_trials, draws, multivariate") as caught:
            validate_options("tpe", {"startup": 3, "draws": 0})
        assert {fault.pointer for fault in caught.value.faults} == {"/startup", "/draws"}

    @pytest.mark.parametrize("value", ["20", 2.5, True, -1, None])
    def test_an_option_of_the_wrong_type_or_range_is_refused(self, value: object) -> None:
        with pytest.raises(InvalidInput) as caught:
            validate_options("evolution", {"population": value})
        assert [fault.pointer for fault in caught.value.faults] == ["/population"]

    def test_every_option_has_a_default_and_a_description(self) -> None:
        for entry in ALGORITHMS.values():
            assert entry.description.endswith(".")
            assert all(field.description and not field.is_required() for field in entry.options.model_fields.values())

    def test_cmaes_refuses_several_objectives_by_name(self) -> None:
        with pytest.raises(InvalidInput, match="nsga2"):
            create("cmaes", space=SPACES["flat"], objectives=[ACCURACY, SIZE])

    def test_optuna_is_imported_only_by_algorithms_that_need_it(self) -> None:
        program = (
            "import sys\n"
            "from searchsvc.algorithms import *; from searchsvc.domain import *; from searchsvc.spaces import *\n"
            "for name in ('random', 'evolution'):\n"
            "    create(name, space=Space([Float('x', 0, 1)]), objectives=[Objective(metric='a')]).ask(1)\n"
            "sys.exit(any(heavy in sys.modules for heavy in ('optuna', 'scipy', 'torch')))"
        )
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

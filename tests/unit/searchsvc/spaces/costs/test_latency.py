"""Latency as a cost: sums over operators for whole matrices, equal to the sums for each single network."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from searchsvc.domain import DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.spaces import catalogue, networks
from searchsvc.spaces.costs.latency import LATENCY, LatencyTable
from searchsvc.spaces.costs.latency_fit import fitted
from searchsvc.spaces.costs.operators import Operator
from searchsvc.spaces.enumeration import enumerate_space
from tests.support.latency import DIGITS, operators_of_values, small_table, table_of, work

OBLONG = DatasetInfo("oblong", ("a", "b"), (3, 40, 57), {})


@pytest.mark.parametrize(
    ("name", "info"),
    [("fbnetv3-small", DIGITS), ("fbnetv3-small", OBLONG), ("fbnetv3", OBLONG), ("fbnetv3-released", OBLONG)],
)
def test_the_latency_of_a_candidate_is_the_sum_of_its_operators(name: str, info: DatasetInfo) -> None:
    shipped = catalogue.find(name)
    table = table_of(networks.operators_for(shipped.space, info, shipped.constants), scale=1.5)
    matrix = shipped.space.sample(20, np.random.default_rng(1))
    estimated = networks.latency_for(shipped.space, info, shipped.constants, table)(matrix)[LATENCY]
    for candidate, milliseconds in zip(shipped.space.from_matrix(matrix), estimated, strict=True):
        operators = operators_of_values({**shipped.constants, **candidate.values}, info.shape)
        assert milliseconds == pytest.approx(1.5 * sum(map(work, operators)), rel=1e-12)


def test_the_operators_of_a_space_are_the_operators_of_its_candidates() -> None:
    shipped = catalogue.find("fbnetv3-small")
    (base,) = shipped.space.from_matrix(shipped.space.sample(1, np.random.default_rng(0)))
    varied = {"c0", "c1", "k2", "c5", "e45b", "n5"}
    space = shipped.space.fix({**{k: v for k, v in base.values.items() if k not in varied}, "n1": 2})
    listed = networks.operators_for(space, DIGITS, shipped.constants)
    every = enumerate_space(space, limit=1000)
    assert every is not None
    occurring = {
        operator
        for candidate in space.from_matrix(every)
        for operator in operators_of_values({**shipped.constants, **candidate.values}, DIGITS.shape)
    }
    assert len(every) == 2 * 2 * 2 * 5 * 4 * 3
    assert sorted(occurring) == listed


def test_a_narrowed_space_is_timed_by_the_table_of_the_whole() -> None:
    shipped = catalogue.find("fbnetv3-small")
    space = shipped.space.fix({"k3": 5}).narrow({"c5": (40, 64)})
    model = networks.latency_for(space, DIGITS, shipped.constants, small_table())
    matrix = space.sample(10, np.random.default_rng(2))
    operators = [
        operators_of_values({**shipped.constants, **candidate.values}, DIGITS.shape)
        for candidate in space.from_matrix(matrix)
    ]
    assert model(matrix)[LATENCY] == pytest.approx([sum(map(work, each)) for each in operators])


def test_a_missing_operator_is_named() -> None:
    shipped = catalogue.find("fbnetv3-small")
    whole = small_table()
    part = whole.model_copy(update={"operators": whole.operators[:-1]})
    with pytest.raises(InvalidInput, match="lacks 1 operators of this space, such as Operator\\(kind='stem'"):
        networks.latency_for(shipped.space, DIGITS, shipped.constants, part)


def test_networks_without_operators_are_refused() -> None:
    shipped = catalogue.find("mbconv-small")
    with pytest.raises(InvalidInput, match="mbconv is not cut into operators"):
        networks.operators_for(shipped.space, DIGITS, shipped.constants)


def test_a_table_comes_back_from_its_file_with_the_same_digest() -> None:
    table = small_table()
    again = LatencyTable.parse(table.serialised, "x.json")
    assert again == table
    assert again.digest == table.digest
    assert small_table(scale=1.01).digest != table.digest


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("format",), "other/1", "searchsvc-latency/1"),
        (("operators", 0, "milliseconds"), 0.0, "/operators/0/milliseconds: must be above 0"),
        (("operators", 0, "operator", "kind"), "pool", "/operators/0/operator/kind: must be stem"),
        (("operators",), [], "/operators: must not be empty"),
        (("colour",), "red", "/colour: unknown key"),
        (("scale",), -1.0, "/scale: must be above 0"),
    ],
)
def test_a_fault_in_a_file_is_named(path: tuple[str | int, ...], value: object, said: str) -> None:
    document = json.loads(small_table().serialised)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InvalidInput, match=said) as refused:
        LatencyTable.parse(json.dumps(document).encode(), "x.json")
    assert "x.json is no searchsvc-latency/1 table" in str(refused.value)


def test_a_repeated_operator_is_refused() -> None:
    table = small_table()
    twice = table.model_copy(update={"operators": (*table.operators, table.operators[0])})
    with pytest.raises(InvalidInput, match="an operator occurs twice"):
        LatencyTable.parse(twice.serialised, "x.json")


def test_a_table_serves_its_own_space_shape_and_classes_only() -> None:
    table = small_table()
    table.check_fits("fbnetv3-small", replace(DIGITS, name="other digits"))
    for space, info in (
        ("fbnetv3", DIGITS),
        ("fbnetv3-small", replace(DIGITS, shape=(1, 28, 28))),
        ("fbnetv3-small", replace(DIGITS, classes=("a", "b"))),
    ):
        with pytest.raises(InvalidInput, match="was measured for fbnetv3-small on images of 1 x 8 x 8 in 10 classes"):
            table.check_fits(space, info)


def test_operators_without_times_are_fitted_to_the_timed_operators() -> None:
    shipped = catalogue.find("fbnetv3-small")
    operators = networks.operators_for(shipped.space, DIGITS, shipped.constants)

    def true_time(operator: Operator) -> float:  # a sum of kinds of work, as the fit assumes
        before, stride = operator.height * operator.width, operator.stride
        after = ((operator.height - 1) // stride + 1) * ((operator.width - 1) // stride + 1)
        expands = operator.kind == "block" and operator.mid != operator.inputs
        mid = operator.mid
        return 0.02 + 1e-6 * before * operator.inputs * mid * expands + 2e-6 * after * mid * operator.kernel**2

    blocks = [operator for operator in operators if operator.kind == "block"]
    measured = {operator: true_time(operator) for operator in blocks[::3]}
    missing = [operator for operator in blocks if operator not in measured]
    estimates = fitted(measured, missing)
    assert list(estimates) == missing
    assert [estimates[operator] for operator in missing] == pytest.approx(list(map(true_time, missing)), rel=0.01)


def test_a_fit_needs_one_operator_of_every_kind() -> None:
    shipped = catalogue.find("fbnetv3-small")
    operators = networks.operators_for(shipped.space, DIGITS, shipped.constants)
    measured = {operator: 1.0 for operator in operators if operator.kind != "head"}
    with pytest.raises(InvalidInput, match="no head was measured in the time given"):
        fitted(measured, [operator for operator in operators if operator.kind == "head"])

"""Latency as a cost: sums over operators, for whole matrices, equal to walking through every single network."""

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
    for candidate, found in zip(shipped.space.from_matrix(matrix), estimated, strict=True):
        operators = operators_of_values({**shipped.constants, **candidate.values}, info.shape)
        assert found == pytest.approx(1.5 * sum(map(work, operators)), rel=1e-12)


def test_operators_are_those_of_all_candidates_and_no_others() -> None:
    shipped = catalogue.find("fbnetv3-small")
    (given,) = shipped.space.from_matrix(shipped.space.sample(1, np.random.default_rng(0)))
    varied = {"c0", "c1", "k2", "c5", "e45b", "n5"}
    space = shipped.space.fix({**{k: v for k, v in given.values.items() if k not in varied}, "n1": 2})
    listed = networks.operators_for(space, DIGITS, shipped.constants)
    every = enumerate_space(space, limit=1000)
    assert every is not None
    seen = {
        one
        for candidate in space.from_matrix(every)
        for one in operators_of_values({**shipped.constants, **candidate.values}, DIGITS.shape)
    }
    assert len(every) == 2 * 2 * 2 * 5 * 4 * 3
    assert sorted(seen) == listed


def test_a_narrowed_space_is_timed_by_the_table_of_the_whole() -> None:
    shipped = catalogue.find("fbnetv3-small")
    space = shipped.space.fix({"k3": 5}).narrow({"c5": (40, 64)})
    model = networks.latency_for(space, DIGITS, shipped.constants, small_table())
    matrix = space.sample(10, np.random.default_rng(2))
    operators = [
        operators_of_values({**shipped.constants, **one.values}, DIGITS.shape) for one in space.from_matrix(matrix)
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
        (("operators", 0, "milliseconds"), 0.0, "at operators/0/milliseconds"),
        (("operators", 0, "operator", "kind"), "pool", "at operators/0/operator/kind"),
        (("operators",), [], "at operators"),
        (("colour",), "red", "at colour"),
        (("scale",), -1.0, "at scale"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(path: tuple[str | int, ...], value: object, said: str) -> None:
    document = json.loads(small_table().serialised)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InvalidInput, match=said) as refused:
        LatencyTable.parse(json.dumps(document).encode(), "x.json")
    assert "x.json is no searchsvc-latency/1 table" in str(refused.value)


def test_an_operator_may_not_be_there_twice() -> None:
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


def test_operators_that_were_not_timed_are_fitted_to_those_that_were() -> None:
    shipped = catalogue.find("fbnetv3-small")
    operators = networks.operators_for(shipped.space, DIGITS, shipped.constants)

    def true(one: Operator) -> float:  # what the fit assumes: a sum of kinds of work
        before, stride = one.height * one.width, one.stride
        after = ((one.height - 1) // stride + 1) * ((one.width - 1) // stride + 1)
        expands = one.kind == "block" and one.mid != one.inputs
        return 0.02 + 1e-6 * before * one.inputs * one.mid * expands + 2e-6 * after * one.mid * one.kernel**2

    blocks = [one for one in operators if one.kind == "block"]
    known = {one: true(one) for one in blocks[::3]}
    missing = [one for one in blocks if one not in known]
    estimates = fitted(known, missing)
    assert list(estimates) == missing
    assert [estimates[one] for one in missing] == pytest.approx([true(one) for one in missing], rel=0.01)


def test_a_fit_needs_one_operator_of_every_kind() -> None:
    shipped = catalogue.find("fbnetv3-small")
    operators = networks.operators_for(shipped.space, DIGITS, shipped.constants)
    known = {one: 1.0 for one in operators if one.kind != "head"}
    with pytest.raises(InvalidInput, match="no head was measured in the time given"):
        fitted(known, [one for one in operators if one.kind == "head"])

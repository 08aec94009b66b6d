"""Spaces against brute force: size, membership, matrices, the unit cube, features, fix and narrow."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchsvc.domain import Candidate, Scalar
from searchsvc.domain.spec import NarrowedRange
from searchsvc.errors import InvalidInput
from searchsvc.spaces import Basis, Categorical, Float, Integer, Parameter, Space
from searchsvc.spaces.enumeration import enumerate_space

CHOICES = st.lists(st.sampled_from(["a", "b", 0, 2.5, True, "1"]), min_size=1, max_size=4, unique=True)


@st.composite
def numbers(draw: st.DrawFn, name: str, when: dict[str, tuple[Scalar, ...]]) -> Parameter:
    kind = draw(st.sampled_from(["integer", "log integer", "grid", "float", "log float", "basis"]))
    low, width = draw(st.integers(1, 5)), draw(st.integers(0, 9))
    if kind == "integer":
        return Integer(name, low - 3, low - 3 + width, step=draw(st.integers(1, max(width, 1))), when=when)
    if kind == "log integer":
        return Integer(name, low, low + width, log=True, when=when)
    if kind == "grid":
        step = draw(st.sampled_from([0.1, 0.25, 0.3]))
        return Float(name, low / 10, round(low / 10 + width * step, 12), step=step, when=when)
    if kind == "basis":
        return Basis(name, (low / 10, low / 10 + width + 1, low / 10 + 0.5), when=when)
    return Float(name, low / 10, low / 10 + width, log=kind == "log float", when=when)


@st.composite
def spaces(draw: st.DrawFn, *, finite: bool = False) -> Space:
    parameters: list[Parameter] = []
    for index in range(draw(st.integers(1, 5))):
        named = [one for one in parameters if isinstance(one, Categorical | Integer)]
        when: dict[str, tuple[Scalar, ...]] = {}
        others = st.lists(st.sampled_from(named), max_size=2, unique_by=lambda one: one.name) if named else st.just([])
        for other in draw(others):
            values = other.choices if isinstance(other, Categorical) else tuple(range(other.low, other.high + 1))
            when[other.name] = tuple(draw(st.lists(st.sampled_from(values), min_size=1, max_size=3)))
        if draw(st.booleans()):
            parameters.append(Categorical(f"p{index}", tuple(draw(CHOICES)), when=when))
            continue
        parameter = draw(numbers(f"p{index}", when))
        if not finite or parameter.step is not None:
            parameters.append(parameter)
    return Space(draw(st.permutations(parameters or [Categorical("p", ("only",))])))


def enumerate_naively(space: Space) -> Iterator[Candidate]:
    """Yield every combination of values once, without the values of inactive parameters."""
    grids = [list(values_of(parameter)) for parameter in space.parameters]
    keys = set()
    for combination in itertools.product(*grids):
        values = dict(zip(space.names, combination, strict=True))
        for _ in space.parameters:
            for parameter in space.parameters:
                if parameter.name in values and not all(
                    other in values
                    and (type(values[other]), values[other]) in [(type(value), value) for value in allowed]
                    for other, allowed in parameter.when.items()
                ):
                    del values[parameter.name]
        candidate = Candidate(values)
        if candidate.key not in keys:
            keys.add(candidate.key)
            yield candidate


def values_of(parameter: Parameter) -> Iterator[Scalar]:
    if isinstance(parameter, Categorical):
        yield from parameter.choices
        return
    assert parameter.step is not None
    for count in itertools.count():
        value = parameter.low + count * parameter.step
        if value > parameter.high + 1e-9:
            return
        yield value if isinstance(parameter, Integer) else round(value, 12)


def combinations(space: Space) -> int:
    return math.prod(len(list(values_of(parameter))) for parameter in space.parameters)


def draws(space: Space, count: int = 40) -> np.ndarray:
    return space.sample(count, np.random.default_rng(0))


class TestSize:
    @given(spaces(finite=True).filter(lambda space: combinations(space) <= 3000))
    def test_it_is_the_number_of_different_candidates(self, space: Space) -> None:
        by_force = list(enumerate_naively(space))
        assert space.size() == len(by_force)
        listed = enumerate_space(space, 3000)
        assert listed is not None
        assert {one.key for one in space.from_matrix(listed)} == {one.key for one in by_force}
        assert len(listed) == len(by_force)

    def test_it_is_exact_even_if_huge(self) -> None:
        assert Space([Integer(f"p{index}", 0, 9) for index in range(60)]).size() == 10**60

    def test_it_is_infinite_if_an_active_parameter_is_continuous(self) -> None:
        assert Space([Categorical("a", (1, 2)), Float("x", 0.0, 1.0, when={"a": 1})]).size() == math.inf

    def test_a_condition_on_values_that_cannot_be_adds_nothing(self) -> None:
        assert Space([Categorical("a", (1, 2)), Integer("x", 0, 9, when={"a": 3})]).size() == 2

    def test_a_space_beyond_the_limit_is_not_listed(self) -> None:
        assert enumerate_space(Space([Integer("x", 1, 11)]), 10) is None
        assert enumerate_space(Space([Float("x", 0.0, 1.0)]), 10) is None


class TestMatrices:
    @given(spaces())
    def test_draws_lie_in_the_space(self, space: Space) -> None:
        assert {space.contains(one) for one in space.from_matrix(draws(space))} == {None}

    @given(spaces())
    def test_candidates_survive_the_matrix(self, space: Space) -> None:
        candidates = space.from_matrix(draws(space))
        matrix = space.to_matrix(candidates)
        np.testing.assert_array_equal(matrix, draws(space))
        assert space.from_matrix(matrix) == candidates

    @given(spaces())
    def test_candidates_survive_the_unit_cube(self, space: Space) -> None:
        matrix = draws(space)
        unit = space.to_unit(matrix)
        assert np.nanmin(unit, initial=0.5) >= 0.0
        assert np.nanmax(unit, initial=0.5) <= 1.0
        np.testing.assert_allclose(space.from_unit(np.where(np.isnan(unit), 0.0, unit)), matrix, rtol=1e-9)

    @given(spaces())
    def test_the_corners_of_the_cube_lie_in_the_space(self, space: Space) -> None:
        corners = np.array([[0.0] * len(space), [1.0] * len(space), [np.nextafter(1.0, 0.0)] * len(space)])
        assert {space.contains(one) for one in space.from_matrix(space.from_unit(corners))} == {None}

    @given(spaces())
    def test_features_lie_in_the_unit_interval_and_tell_candidates_apart(self, space: Space) -> None:
        matrix = draws(space)
        features = space.features(matrix)
        assert features.shape[0] == len(matrix)
        assert np.isfinite(features).all()
        assert ((features >= 0.0) & (features <= 1.0)).all()
        different = {row.tobytes() for row in np.nan_to_num(matrix, nan=-9.0)}
        assert len({row.tobytes() for row in np.round(features, 12)}) >= 0.9 * len(different)

    @given(spaces())
    def test_arguments_are_left_as_they_were(self, space: Space) -> None:
        matrix = draws(space)
        for call in (space.activate, space.to_unit, space.features, space.from_matrix):
            call(matrix)
        np.testing.assert_array_equal(matrix, draws(space))

    def test_equal_shares_of_the_cube_go_to_choices_and_steps(self) -> None:
        space = Space([Categorical("c", ("a", "b", "c")), Integer("i", 1, 4), Float("g", 0.0, 1.0, step=0.25)])
        matrix = space.sample(30_000, np.random.default_rng(1))
        for column, levels in enumerate([3, 4, 5]):
            counts = np.unique(matrix[:, column], return_counts=True)[1]
            np.testing.assert_allclose(counts / len(matrix), 1 / levels, atol=0.01)

    def test_half_of_a_logarithmic_range_lies_below_its_geometric_mean(self) -> None:
        matrix = Space([Float("x", 1e-4, 1.0, log=True)]).sample(10_000, np.random.default_rng(1))
        assert np.mean(matrix < 1e-2) == pytest.approx(0.5, abs=0.02)

    def test_grid_values_are_the_decimals_of_the_document(self) -> None:
        column = Space([Float("x", 0.1, 0.7, step=0.1)]).from_unit(np.linspace(0, 1, 50)[:, None])[:, 0]
        assert sorted(set(column.tolist())) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]

    def test_whole_numbers_up_to_two_to_the_53_are_exact(self) -> None:
        space = Space([Integer("x", -(2**53), 2**53)])
        ends = [Candidate({"x": -(2**53)}), Candidate({"x": 2**53}), Candidate({"x": 2**53 - 1})]
        assert space.from_matrix(space.to_matrix(ends)) == ends

    def test_no_rows_are_fine(self) -> None:
        space = Space([Integer("x", 0, 3), Categorical("c", ("a", "b", "c"), when={"x": 1})])
        assert space.from_matrix(space.to_matrix([])) == []
        assert space.features(np.empty((0, 2))).shape == (0, 5)


CONDITIONAL = Space(
    [
        Categorical("optimizer", ("sgd", "adam")),
        Float("momentum", 0.0, 0.9, when={"optimizer": "sgd"}),
        Integer("layers", 1, 5, step=2),
    ]
)


class TestContains:
    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"optimizer": "adam", "layers": 3}, None),
            ({"optimizer": "sgd", "momentum": 0.5, "layers": 3.0}, None),
            ({"optimizer": "sgd", "layers": 3}, "momentum has no value"),
            ({"optimizer": "adam", "momentum": 0.5, "layers": 3}, "momentum is not active"),
            ({"optimizer": "adam", "layers": 2}, "1 plus a multiple of 2"),
            ({"optimizer": "adam", "layers": 3, "depth": 1}, "unknown parameter 'depth'"),
            ({"optimizer": "lion", "layers": 3}, "one of ['sgd', 'adam']"),
            ({"optimizer": "adam", "layers": True}, "must be a number"),
            ({"optimizer": "adam", "layers": "3"}, "must be a number"),
            ({"optimizer": "adam", "layers": float("nan")}, "must lie from 1 to 5"),
            ({"optimizer": "adam", "layers": 7}, "must lie from 1 to 5"),
        ],
    )
    def test_it_says_why_not(self, values: dict[str, Scalar], reason: str | None) -> None:
        said = CONDITIONAL.contains(Candidate(values))
        assert said is None if reason is None else said is not None and reason in said


class TestFixAndNarrow:
    def test_a_fixed_parameter_has_its_value_in_every_candidate(self) -> None:
        fixed = CONDITIONAL.fix({"optimizer": "sgd", "layers": 3})
        candidates = fixed.from_matrix(draws(fixed))
        assert {(one.values["optimizer"], one.values["layers"]) for one in candidates} == {("sgd", 3)}
        assert all(CONDITIONAL.contains(one) is None and fixed.contains(one) is None for one in candidates)

    def test_a_value_outside_a_condition_deactivates_the_other_parameter(self) -> None:
        assert CONDITIONAL.fix({"optimizer": "adam"}).size() == 3

    def test_a_narrowed_space_is_a_subset(self) -> None:
        narrowed = CONDITIONAL.narrow({"momentum": NarrowedRange(low=0.5), "layers": (1, 5), "optimizer": ("sgd",)})
        candidates = narrowed.from_matrix(draws(narrowed))
        assert all(CONDITIONAL.contains(one) is None for one in candidates)
        assert min(one.values["momentum"] for one in candidates) >= 0.5  # type: ignore[type-var]
        assert {one.values["layers"] for one in candidates} == {1, 5}

    @given(spaces(), st.data())
    def test_fixing_to_a_drawn_candidate_leaves_that_candidate(self, space: Space, data: st.DataObject) -> None:
        candidate = data.draw(st.sampled_from(space.from_matrix(draws(space, 5))))
        fixed = space.fix(candidate.values)
        assert fixed.size() == 1
        assert fixed.from_matrix(draws(fixed, 1)) == [candidate]

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"momentum": NarrowedRange(low=0.5, high=0.1)}, "/momentum"),
            ({"momentum": NarrowedRange(high=2.0)}, "/momentum"),
            ({"momentum": ()}, "/momentum"),
            ({"optimizer": ("lion",)}, "/optimizer"),
            ({"optimizer": ()}, "/optimizer"),
            ({"optimizer": NarrowedRange(low=1)}, "/optimizer"),
            ({"layers": NarrowedRange(low=2)}, "/layers"),
            ({"layers": NarrowedRange(low=1.5)}, "/layers"),
            ({"depth": (1,)}, "/depth"),
        ],
    )
    def test_an_impossible_change_is_refused_at_its_place(self, change: dict[str, object], pointer: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            CONDITIONAL.narrow(change)  # type: ignore[arg-type]
        assert [fault.pointer for fault in caught.value.faults] == [pointer]


class TestBasis:
    RATES = Basis("lr", (0.1, 0.001, 0.01))

    def test_every_mixture_of_its_values_lies_in_the_space_and_nothing_else(self) -> None:
        coefficients = np.random.default_rng(0).dirichlet(np.ones(3), size=50)
        mixtures = coefficients @ np.array(self.RATES.values)
        space = Space([self.RATES])
        assert all(space.contains(Candidate({"lr": float(value)})) is None for value in mixtures)
        assert space.contains(Candidate({"lr": 0.11})) == "lr must lie from 0.001 to 0.1, not 0.11"
        assert space.size() == math.inf

    @pytest.mark.parametrize(
        ("values", "twin"),
        [
            ((0.1, 0.001, 0.01), Float("x", 0.001, 0.1, log=True)),
            ((0.8, 0.99, 0.9), Float("x", 0.8, 0.99)),
            ((0.0, 1.0, 100.0), Float("x", 0.0, 100.0)),
            ((-1.0, 5.0), Float("x", -1.0, 5.0)),
        ],
    )
    def test_it_is_searched_as_the_range_that_it_spans(self, values: tuple[float, ...], twin: Float) -> None:
        basis, real = Space([Basis("x", values)]), Space([twin])
        matrix = draws(basis)
        np.testing.assert_array_equal(matrix, draws(real))
        np.testing.assert_array_equal(basis.to_unit(matrix), real.to_unit(matrix))
        np.testing.assert_array_equal(basis.features(matrix), real.features(matrix))

    def test_a_narrowed_basis_keeps_its_values_inside_and_spans_the_new_range(self) -> None:
        narrowed = Space([self.RATES]).narrow({"lr": NarrowedRange(low=0.002)})
        assert narrowed["lr"] == Basis("lr", (0.1, 0.01, 0.002))
        assert Space([self.RATES]).narrow({"lr": (0.1, 0.02)})["lr"] == Categorical("lr", (0.1, 0.02))

    @pytest.mark.parametrize(("low", "high"), [(0.01, 0.01), (0.05, 0.02), (0.0001, 0.01)])
    def test_it_cannot_be_narrowed_to_nothing_or_widened(self, low: float, high: float) -> None:
        with pytest.raises(InvalidInput) as caught:
            Space([self.RATES]).narrow({"lr": NarrowedRange(low=low, high=high)})
        assert [fault.pointer for fault in caught.value.faults] == ["/lr"]


class TestUnsoundSpaces:
    @pytest.mark.parametrize(
        ("parameters", "pointer"),
        [
            ([], ""),
            ([Integer("x", 0, 1), Integer("x", 0, 2)], "/1/name"),
            ([Integer("x", 0, 1, when={"y": 1})], "/0/when/y"),
            ([Float("x", 0.0, 1.0), Integer("y", 0, 1, when={"x": 0.5})], "/1/when/x"),
            ([Basis("x", (0.0, 1.0)), Integer("y", 0, 1, when={"x": 0.5})], "/1/when/x"),
            ([Integer("x", 0, 1), Integer("y", 0, 1, when={"x": ()})], "/1/when/x"),
            ([Integer("x", 0, 1, when={"y": 1}), Integer("y", 0, 1, when={"x": 1})], ""),
            ([Integer("x", 0, 1, when={"x": 1})], ""),
        ],
    )
    def test_they_are_refused_at_their_place(self, parameters: list[Parameter], pointer: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            Space(parameters)
        assert [fault.pointer for fault in caught.value.faults] == [pointer]

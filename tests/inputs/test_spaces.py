"""Spaces that people bring: each is searched by every algorithm in bounded memory, or refused with what to do."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchsvc import algorithms
from searchsvc.algorithms import ALGORITHMS
from searchsvc.domain import Candidate, Constraint, JobSpec, Objective, Observation, Parameter
from searchsvc.errors import InvalidInput
from searchsvc.spaces import Categorical, Float, Integer, Space
from tests.unit.searchsvc.domain.test_spec import VALID

LARGEST = 2**53
MEGABYTES = 500
SEARCHES = [name for name, entry in ALGORITHMS.items() if not entry.shares_weights and name != "given"]
SLOW = ("gp", "fbnetv3")
SCORE = Objective(metric="ap/犬")

LEGAL: dict[str, Callable[[], list[Parameter]]] = {
    "U14: all whole numbers up to 2^53": lambda: [Integer("i", 0, LARGEST)],
    "U14: negative, in steps, logarithmic": lambda: [
        Integer("i", -LARGEST, LARGEST),
        Integer("s", -LARGEST, LARGEST, 3),
        Integer("l", 1, LARGEST, log=True),
    ],
    "tiny steps over large ranges": lambda: [Float("a", 0, 1, 1e-12), Float("b", 0, 1e6, 1e-9)],
    "steps that do not divide": lambda: [Float("a", 0, 1, 0.3), Float("b", 0.1, 1, 1 / 3), Integer("i", -5, 9, 4)],
    "the limits of float64": lambda: [
        Float("w", -1e300, 1e300),
        Float("d", 5e-324, 1e-310),
        Float("l", 5e-324, 1e300, log=True),
        Float("n", 1.0, 1.0 + 2**-50),
    ],
    "a single value each": lambda: [Integer("i", 3, 3), Float("f", 1.5, 1.5), Categorical("c", (None,))],
    "U12: null, mixed types and odd names": lambda: [
        Categorical("opt/lr", (None, True, 1, "1", "", 0.5, False, 0, "null", "x" * 4096)),
        Float("λ", 0, 1, 0.3, when={"opt/lr": None}),
        Integer("learning-rate", 1, 9, when={"opt/lr": [True]}),
        Integer("model.depth", 1, 9, when={"opt/lr": [1]}),
    ],
    "10,000 choices": lambda: [Categorical("c", tuple(range(10_000))), Float("x", 0, 1)],
    "conditions 300 deep": lambda: [
        Categorical(f"p{i}", (0, 1), when={f"p{i - 1}": 1} if i else {}) for i in range(300)
    ],
    "300 parameters": lambda: [Float(f"p{i}", 0, 1) for i in range(300)],
}
REFUSED = {
    ("10,000 choices", "fbnetv3"): "/name: the predictor of fbnetv3 learns from at most 1,024 choices",
    ("300 parameters", "gp"): "/name: gp models at most 64 parameters without conditions, and this space has 300",
    ("300 parameters", "cmaes"): "/name: cmaes models at most 256 parameters",
}


@pytest.fixture(scope="module")
def imported() -> None:
    """Import what the algorithms import when they are first used, so that its memory is not counted."""
    for name in SEARCHES:
        check_search(name, Space([Float("x", 0, 1), Integer("n", 1, 9)]), 14)


@contextmanager
def memory_limit(megabytes: int) -> Iterator[None]:
    """Let the process take so much more memory: what takes more raises MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    data = psutil.Process().memory_info().data  # the measure that the limit applies to
    resource.setrlimit(resource.RLIMIT_DATA, (data + megabytes * 2**20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def check_search(name: str, space: Space, asks: int) -> None:
    """Every candidate lies in the space, keeps its types, and survives JSON and the encoder."""
    algorithm = algorithms.create(name, space=space, objectives=[SCORE], seed=1)
    for ask in range(asks):
        candidate = algorithm.ask(1)[0]
        assert space.contains(candidate) is None
        for parameter in space.parameters:
            if parameter.name in candidate.values:
                assert is_exact(parameter, candidate.values[parameter.name])
        written = Candidate(json.loads(json.dumps(dict(candidate.values))))
        assert written == candidate
        decoded = space.from_matrix(space.to_matrix([written]))[0]
        assert {name: repr(value) for name, value in decoded.values.items()} == {
            name: repr(value) for name, value in candidate.values.items()
        }
        algorithm.tell([Observation(candidate, {SCORE.metric: (ask * 7 % 11) / 11})])


def is_exact(parameter: Parameter, value: Any) -> bool:
    """Check a value by the documented formula, in exact fractions."""
    if isinstance(parameter, Categorical):
        return any(type(value) is type(choice) and value == choice for choice in parameter.choices)
    if isinstance(parameter, Integer):
        return type(value) is int and (value - parameter.low) % parameter.step == 0
    if parameter.step is None:
        return type(value) is float
    low, step = Fraction(repr(parameter.low)), Fraction(repr(parameter.step))
    return value == min(float(low + round((Fraction(repr(value)) - low) / step) * step), parameter.high)


@pytest.mark.usefixtures("imported")
@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("row", LEGAL)
def test_every_algorithm_searches_a_legal_space_within_bounded_memory_or_says_why_not(row: str, name: str) -> None:
    space = Space(LEGAL[row]())
    if reason := REFUSED.get((row, name)):
        with pytest.raises(InvalidInput) as caught:
            algorithms.create(name, space=space, objectives=[SCORE])
        assert str(caught.value).startswith(reason)
        assert "use tpe, evolution or random" in str(caught.value)
        return
    with memory_limit(MEGABYTES):
        check_search(name, space, 14 if name in SLOW and not row.startswith("U14") else 30)


NUMBERS = st.floats(-1e300, 1e300) | st.floats(-10, 10)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-LARGEST, LARGEST)
    | NUMBERS
    | st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=8)
)


@st.composite
def parameters(draw: st.DrawFn, name: str) -> Parameter:
    """Draw any parameter without conditions."""
    kind = draw(st.sampled_from(["choices", "integer", "float"]))
    try:
        if kind == "choices":
            return Categorical(name, tuple(draw(st.lists(VALUES, min_size=1, max_size=12))))
        if kind == "integer":
            low, high = sorted((draw(st.integers(-LARGEST, LARGEST)), draw(st.integers(-LARGEST, LARGEST))))
            log = low > 0 and draw(st.booleans())
            return Integer(name, low, high, 1 if log else draw(st.integers(1, max(1, high - low))), log)
        low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
        log = low > 0 and draw(st.booleans())
        step = None if log or not draw(st.booleans()) else (high - low) / draw(st.integers(1, 2**60))
        return Float(name, low, high, step, log)
    except ValueError:  # a space that is refused
        return Float(name, 0, 1)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Draw any legal space of up to five parameters, some of them with a condition on the first."""
    switch = Categorical("switch", (None, True, 1, "1"))
    others = [draw(parameters(f"p/{index}")) for index in range(draw(st.integers(0, 4)))]
    conditional = Integer("when null", 0, 9, when={"switch": draw(st.sampled_from(switch.choices))})
    return Space([switch, *others, conditional])


@pytest.mark.usefixtures("imported")
@settings(max_examples=3)
@pytest.mark.parametrize("name", SEARCHES)
@given(space=spaces())
def test_any_legal_space_survives_30_asks_of_every_algorithm(name: str, space: Space) -> None:
    with memory_limit(MEGABYTES):
        check_search(name, space, 30)


@settings(max_examples=40)
@given(space=spaces())
def test_the_unit_cube_and_the_list_of_all_candidates_hold_values_of_the_space(space: Space) -> None:
    matrix = space.sample(64, np.random.default_rng(0))
    again = space.from_unit(np.nan_to_num(space.to_unit(matrix), nan=0.5))
    for candidate in space.from_matrix(np.vstack([matrix, again])):
        assert space.contains(candidate) is None
        assert all(is_exact(space[name], value) for name, value in candidate.values.items())


UNSOUND: list[tuple[str, dict[str, Any], str, str]] = [
    ("beyond 2^53", {"type": "integer", "low": 0, "high": 2**53 + 1}, "/high", "at most 9,007,199,254,740,992"),
    ("a large choice", {"type": "categorical", "choices": [2**60]}, "/choices/0", "at most 9,007,199,254,740,992"),
    ("NaN", {"type": "float", "low": float("nan"), "high": 1}, "/low", "NaN"),
    ("infinity as a choice", {"type": "categorical", "choices": [float("inf")]}, "/choices/0", "infinity"),
    ("1 and 1.0", {"type": "categorical", "choices": [1, 1.0]}, "", "is the same number"),
    ("null twice", {"type": "categorical", "choices": [None, 3, None]}, "", "null occurs twice"),
    ("a step below float64", {"type": "float", "low": 1e16, "high": 2e16, "step": 0.5}, "", "float64"),
    ("too many steps", {"type": "float", "low": 0, "high": 1, "step": 1e-300}, "", "too small|2\\^53"),
    ("1e5 choices", {"type": "categorical", "choices": list(range(100_000))}, "/choices", "at most 10,000"),
    ("a long text", {"type": "categorical", "choices": ["x" * 4097]}, "/choices/0", "at most 4,096 characters"),
    ("a bell", {"type": "categorical", "choices": ["\a"]}, "/choices/0", "U\\+0007"),
]


@pytest.mark.parametrize(("row", "parameter", "pointer", "words"), UNSOUND, ids=[row[0] for row in UNSOUND])
def test_an_unsound_parameter_is_refused_in_our_own_words(
    row: str, parameter: dict[str, Any], pointer: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        JobSpec.parse({**VALID, "space": {"parameters": [{"name": "x", **parameter}]}})
    assert [fault.pointer for fault in caught.value.faults] == ["/space/parameters/0" + pointer]


NAMES = [
    ("learning-rate", None),
    ("opt/lr", None),
    ("λ", None),
    ("model.depth", None),
    ("number of layers", None),
    ("a~b [red] <b>&amp; 'q' \"d\" %s {x}", None),
    ("犬" * 128, None),
    ("a=b", "must not hold '='"),
    (" lr", "begin or end with a blank"),
    ("lr\n", "U\\+000A"),
    ("a\u202eb", "U\\+202E"),
    ("", "must not be empty"),
    ("x" * 129, "at most 128 characters"),
]


@pytest.mark.parametrize(("name", "words"), NAMES, ids=[repr(name)[:20] for name, _ in NAMES])
def test_names_of_parameters_are_written_as_the_field_writes_them(name: str, words: str | None) -> None:
    document = {**VALID, "space": {"parameters": [{"type": "float", "name": name, "low": 0, "high": 1}]}}
    if words is None:
        assert JobSpec.parse(document).document()["space"]["parameters"][0]["name"] == name
        return
    with pytest.raises(InvalidInput, match=words) as caught:
        JobSpec.parse(document)
    assert [fault.pointer for fault in caught.value.faults] == ["/space/parameters/0/name"]


@pytest.mark.parametrize("metric", ["ap/traffic light", "ap/犬", "f1@0.5", "ap/a=b", "mean absolute error", "ap/[/x]"])
def test_whatever_is_measured_can_be_named(metric: str) -> None:
    document = {**VALID, "objectives": [{"metric": metric}], "constraints": [{"metric": metric, "min": 0.1}]}
    assert JobSpec.parse(document).objectives[0].metric == metric


@pytest.mark.parametrize("name", SEARCHES)
def test_a_cost_model_is_never_asked_about_nothing(name: str) -> None:
    """U15: the cost model of a user sees matrices with rows only."""
    rows: list[int] = []

    def costs(matrix: np.ndarray) -> dict[str, np.ndarray]:
        rows.append(len(matrix))
        return {"size": matrix.max(axis=0).max() + matrix[:, 0]}  # an empty matrix has no maximum

    space = Space([Integer("i", 0, 3), Float("x", 0, 1)])
    algorithm = algorithms.create(
        name, space=space, objectives=[SCORE], constraints=[Constraint(metric="size", max=1e9)], cost_model=costs
    )
    for _ in range(14):
        candidate = algorithm.ask(1)[0]
        algorithm.tell([Observation(candidate, {SCORE.metric: float(candidate.values["i"])})])
    assert rows
    assert min(rows) > 0


SIZES: list[tuple[str, Callable[[], list[Parameter]], float]] = [
    (
        "a chain of conditions",
        lambda: [Categorical(f"p{i}", (0, 1), when={f"p{i - 1}": 1} if i else {}) for i in range(1000)],
        1001,
    ),
    (
        "a child of 40 parents",
        lambda: [
            *(Categorical(f"p{i}", (0, 1, 2)) for i in range(40)),
            Float("x", 0, 1, 0.25, when={f"p{i}": 1 for i in range(40)}),
        ],
        3**40 + 4,
    ),
    ("types differ", lambda: [Categorical("c", (True, 1, None)), Integer("n", 1, 5, when={"c": 1})], 7),
    ("beyond 1e300", lambda: [Integer(f"p{i}", 0, LARGEST) for i in range(100)], float("inf")),
    (
        "a choice that ends a range",
        lambda: [Categorical("c", (None, 1)), Float("x", 0, 1, when={"c": None})],
        float("inf"),
    ),
]


@pytest.mark.parametrize(("row", "make", "size"), SIZES, ids=[row[0] for row in SIZES])
def test_candidates_are_counted_whatever_the_conditions(
    row: str, make: Callable[[], list[Parameter]], size: float
) -> None:
    assert Space(make()).size() == size

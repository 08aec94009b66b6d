"""JobSpec: every fault is reported at its place, and a spec survives conversion to a document and back."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchsvc.domain import JobSpec
from searchsvc.errors import InvalidInput

VALID: dict[str, Any] = {
    "name": "digits-joint",
    "task": "classification",
    "dataset": {"name": "digits"},
    "space": {
        "parameters": [
            {"type": "categorical", "name": "optimizer", "choices": ["sgd", "adam"]},
            {"type": "float", "name": "momentum", "low": 0, "high": 0.99, "when": {"optimizer": "sgd"}},
            {"type": "integer", "name": "width", "low": 8, "high": 64, "log": True},
            {"type": "basis", "name": "lr", "values": [0.1, 0.001, 0.02]},
        ],
        "fix": {"width": 16},
    },
    "objectives": [{"metric": "accuracy"}, {"metric": "flops", "goal": "minimize"}],
    "constraints": [{"metric": "flops", "max": 5e6}],
    "algorithm": {"name": "tpe", "startup_trials": 5},
    "stopping": {"name": "asha", "reduction": 3},
    "fidelity": {"epochs": 8},
    "budget": {"trials": 48, "seconds": 900},
    "resources": {"cpu": 1, "gpu": 0.5},
    "seed": 3,
    "tags": ["night"],
}
REMOVED = object()


def changed(pointer: str, value: object) -> dict[str, Any]:
    """Return the valid document with a single place set to `value` (or removed)."""
    document = copy.deepcopy(VALID)
    *parents, last = pointer.strip("/").split("/")
    at: Any = document
    for step in parents:
        at = at[int(step)] if isinstance(at, list) else at[step]
    if value is REMOVED:
        del at[last]
    elif isinstance(at, list):
        at[int(last)] = value
    else:
        at[last] = value
    return document


def pointers(document: object) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        JobSpec.parse(document)
    assert all(fault.message for fault in caught.value.faults)
    return [fault.pointer for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/nmae", "x"),
        ("/budget/trails", 3),
        ("/resources/gpus", 1),
        ("/fidelity/epoch", 3),
        ("/space/narow", {}),
        ("/space/parameters/0/chioces", ["a"]),
        ("/objectives/0/direction", "maximize"),
    ],
)
def test_an_unknown_key_is_named_where_it_stands(pointer: str, value: object) -> None:
    with pytest.raises(InvalidInput, match="unknown key") as caught:
        JobSpec.parse(changed(pointer, value))
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


@pytest.mark.parametrize(
    "pointer",
    ["/name", "/task", "/dataset", "/space", "/objectives", "/algorithm", "/algorithm/name", "/budget/trials"],
)
def test_a_missing_key_is_named_where_it_should_stand(pointer: str) -> None:
    assert pointers(changed(pointer, REMOVED)) == [pointer]


CHECKED_TOGETHER = {
    *(f"/space/parameters/0/{key}" for key in ("type", "choices")),
    *(f"/space/parameters/1/{key}" for key in ("high", "step")),
    "/space/parameters/2/low",
    "/space/parameters/3/values",
}
"""Keys that are wrong only together with another key of their parameter, which the message names."""


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/name", ""),
        ("/name", "../../etc/passwd"),
        ("/name", "n" * 129),
        ("/name", 7),
        ("/task", None),
        ("/seed", -1),
        ("/seed", 2**63),
        ("/seed", "zero"),
        ("/repeats", "maybe"),
        ("/budget", 48),
        ("/budget/trials", 0),
        ("/budget/trials", 1e30),
        ("/budget/trials", 1.5),
        ("/budget/seconds", 0),
        ("/budget/seconds", math.nan),
        ("/budget/seconds", math.inf),
        ("/budget/seconds", 1e300),
        ("/fidelity/epochs", 0),
        ("/resources/gpu", 1.5),
        ("/resources/cpu", 0),
        ("/resources/workers", 0),
        ("/resources/workers", 1025),
        ("/objectives", []),
        ("/objectives", {"metric": "accuracy"}),
        ("/objectives/0/goal", "up"),
        ("/objectives/1/metric", "a\nb"),
        ("/constraints/0/max", math.nan),
        ("/constraints/0/max", -math.inf),
        ("/constraints/0/max", "big"),
        ("/constraints/0", {"metric": "flops"}),
        ("/constraints/0", {"metric": "flops", "min": 2, "max": 1}),
        ("/space/parameters", []),
        ("/space/parameters/0/type", "colour"),
        ("/space/parameters/0/choices", []),
        ("/space/parameters/0/choices", ["a", "a"]),
        ("/space/parameters/0/choices", [1, 1.0]),
        ("/space/parameters/1/low", math.nan),
        ("/space/parameters/1/high", math.inf),
        ("/space/parameters/1/high", -1),
        ("/space/parameters/1/step", 0),
        ("/space/parameters/1/step", 5),
        ("/space/parameters/2/low", 0),
        ("/space/parameters/2/low", 2.5),
        ("/space/parameters/2/high", 10**30),
        ("/space/parameters/1/name", "a=b"),
        ("/space/parameters/3/values", [0.1]),
        ("/space/parameters/3/values", [0.1, 0.2, 0.1]),
        ("/space/parameters/3/values", [0.1, math.inf]),
        ("/space/parameters/3/values", [0.1, "high"]),
        ("/space/parameters/3/low", 0.1),
        ("/space/fix/width", [1]),
        ("/stopping/name", 3),
        ("/stopping/reduction", math.nan),
        ("/algorithm/startup_trials", [1, math.inf]),
        ("/algorithm/startup_trials", {"a": object()}),
        ("/dataset", {"format": "npz", "path": "a.npz", "limit": math.nan}),
        ("/tags", ["a=b"]),
    ],
)
def test_a_wrong_value_is_named_at_or_just_above_its_place(pointer: str, value: object) -> None:
    places = pointers(changed(pointer, value))
    assert len(places) > 0
    for place in places:
        is_of_parameter = pointer in CHECKED_TOGETHER and place == pointer.rpartition("/")[0]
        assert place == pointer or place.startswith(pointer + "/") or is_of_parameter


def test_all_faults_are_named_at_once() -> None:
    document = changed("/budget/trials", 0) | {"extra": 1, "seed": -5}
    assert sorted(pointers(document)) == ["/budget/trials", "/extra", "/seed"]


def test_two_objectives_need_two_metrics() -> None:
    assert pointers(changed("/objectives/1/metric", "accuracy")) == ["/objectives"]


@pytest.mark.parametrize("document", [None, [], "name: x", 3, True])
def test_what_is_no_mapping_is_said_to_be_none(document: object) -> None:
    assert pointers(document) == [""]


def test_a_pointer_escapes_slashes_and_tildes() -> None:
    assert pointers(VALID | {"a/b~c": 1}) == ["/a~1b~0c"]


def test_a_spec_survives_a_trip_through_json() -> None:
    spec = JobSpec.parse(VALID)
    assert JobSpec.parse(json.loads(json.dumps(spec.document()))) == spec


def test_options_of_algorithm_and_rule_survive_too() -> None:
    spec = JobSpec.parse(JobSpec.parse(VALID).document())
    assert (spec.algorithm.options, spec.stopping.options) == ({"startup_trials": 5}, {"reduction": 3})


@pytest.mark.parametrize(
    "dataset",
    [{"name": "digits"}, {"name": "scenes", "size": 64}, {"format": "npz", "path": "mnist.npz", "limit": 100}],
)
@pytest.mark.parametrize("space", [{"name": "mbconv-small", "narrow": {"width": {"high": 3}}}, VALID["space"]])
def test_both_kinds_of_dataset_and_space_survive(dataset: dict[str, Any], space: dict[str, Any]) -> None:
    spec = JobSpec.parse(VALID | {"dataset": dataset, "space": space})
    assert JobSpec.parse(json.loads(json.dumps(spec.document()))) == spec


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*VALID, "x"]), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(VALID)), JSON)
def test_whatever_stands_in_a_section_it_parses_or_is_refused_with_places(key: str, value: object) -> None:
    document = VALID | {key: value}
    try:
        spec = JobSpec.parse(document)
    except InvalidInput as error:
        assert all(fault.pointer.startswith(f"/{key}") for fault in error.faults)  # noqa: PT017 - either way is right
    else:
        assert JobSpec.parse(json.loads(json.dumps(spec.document()))) == spec

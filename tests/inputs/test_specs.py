"""Specs with faults: all faults are named in one round, each at its place, in our own words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from searchsvc.errors import InvalidInput
from searchsvc.service.planning.resolve import resolve_document
from searchsvc.settings import Settings

SPEC: dict[str, Any] = {
    "name": "digits",
    "task": "classification",
    "dataset": {"name": "digits"},
    "space": {"name": "mbconv-small"},
    "objectives": [{"metric": "accuracy"}],
    "algorithm": {"name": "tpe"},
    "budget": {"trials": 4},
}
CHOICES = {"type": "categorical", "name": "batch_size"}
ROWS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "U28: a wrong number, an unknown task and an unknown algorithm": (
        {"fidelity": {"epochs": -1}, "task": "clasification", "algorithm": {"name": "tpee"}},
        {
            "/fidelity/epochs": "must be at least 1, not -1",
            "/task": "no task 'clasification'",
            "/algorithm/name": "no algorithm 'tpee'; did you mean 'tpe'?",
        },
    ),
    "unknown names everywhere, and a wrong type": (
        {
            "fidelity": {"epochs": "many"},
            "space": {"name": "mbconv-smal"},
            "dataset": {"name": "digitz"},
            "stopping": {"name": "ahsa"},
            "objectives": [{"metric": "acc"}],
        },
        {
            "/fidelity/epochs": "must be a whole number, not 'many'",
            "/space/name": "no space 'mbconv-smal'",
            "/dataset/name": "digitz",
            "/stopping/name": "no stopping rule 'ahsa'; did you mean 'asha'?",
            "/objectives/0/metric": "does not measure 'acc'; did you mean accuracy?",
        },
    ),
    "an unreachable constraint, an unknown option and a wrong number": (
        {
            "constraints": [{"metric": "flops", "max": 1}],
            "algorithm": {"name": "tpe", "strat": 1},
            "budget": {"trials": 0},
        },
        {
            "/constraints/0": "cannot be reached",
            "/algorithm/strat": "unknown option of tpe",
            "/budget/trials": "must be at least 1, not 0",
        },
    ),
    "unknown keys, each with the nearest": (
        {"nmae": 1, "fidelity": {"epoch": 3}, "budget": {"trials": 4, "secods": 1}, "resources": {"gpus": 1}},
        {
            "/nmae": "unknown key; did you mean 'name'?",
            "/fidelity/epoch": "unknown key; did you mean 'epochs'?",
            "/budget/secods": "unknown key; did you mean 'seconds'?",
            "/resources/gpus": "unknown key; did you mean 'gpu'?",
        },
    ),
    "a typing error in a parameter's type": (
        {"space": {"parameters": [{"type": "flaot", "name": "lr", "low": 0, "high": 1}]}},
        {"/space/parameters/0/type": "must be categorical or integer or float or basis, not 'flaot'; did you mean"},
    ),
    "values of wrong kinds": (
        {
            "space": {
                "parameters": [{**CHOICES, "choices": [[1], 8]}, {"name": "lr"}],
                "fix": {"x": {}},
                "narrow": {"y": 5, "z": {"lw": 1}},
            },
            "repeats": "maybe",
            "tags": "night",
        },
        {
            "/space/parameters/0/choices/0": "must be true or false, a number, a text or null, not a list",
            "/space/parameters/1/type": "is missing",
            "/space/fix/x": "must be true or false, a number, a text or null, not a mapping",
            "/space/narrow/y": "must be a mapping of keys to values or a list, not 5",
            "/space/narrow/z/lw": "unknown key; did you mean 'low'?",
            "/repeats": "must be true or false, not 'maybe'",
            "/tags": "must be a list, not 'night'",
        },
    ),
    "sections that are missing": (
        {"task": None, "dataset": [], "seed": 2**63},
        {"/task": "must be a text, not null", "/dataset": "must be a mapping", "/seed": "must be below"},
    ),
    "null where a task takes none": (
        {
            "space": {
                "parameters": [{**CHOICES, "choices": [None, 16]}, {**CHOICES, "name": "optimizer", "choices": [None]}]
            }
        },
        {"/space/parameters/0": "must be a number, not null", "/space/parameters/1": "must be one of ['sgd'"},
    ),
    "no network of the name null": (
        {"space": {"parameters": [{**CHOICES, "name": "network", "choices": [None, "mbconv"]}]}},
        {"/space/parameters/0/choices": "takes texts for network"},
    ),
    "a parameter with a slash in its name": (
        {"space": {"name": "mbconv-small", "fix": {"opt/lr": 1}, "narrow": {"a~b": [1]}}},
        {"/space/fix/opt~1lr": "no such parameter", "/space/narrow/a~0b": "no such parameter"},
    ),
    "a range that no supernet can list": (
        {
            "algorithm": {"name": "autohas"},
            "space": {"parameters": [{"type": "integer", "name": "base_width", "low": 1, "high": 2**53}]},
        },
        {"/space/parameters/0": "base_width"},
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_all_faults_of_a_spec_are_named_in_one_round(row: str) -> None:
    changes, expected = ROWS[row]
    document = {**copy.deepcopy(SPEC), **changes}
    with pytest.raises(InvalidInput) as caught:
        resolve_document(document, trusted=True, settings=Settings())
    found = {fault.pointer: fault.message for fault in caught.value.faults}
    assert found.keys() == expected.keys()
    for place, words in expected.items():
        assert words in found[place]

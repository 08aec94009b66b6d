"""Drafts of specs, and texts that a form changes: only the changed value differs."""

from __future__ import annotations

from typing import Any

import pytest

from searchsvc.domain import JobSpec
from searchsvc.errors import Fault, InvalidInput
from searchsvc.service.documents import drafts
from searchsvc.service.documents.documents import load_document
from searchsvc.service.documents.yaml_text import changed, flow, located

TEXT = """\
# What is searched
name: digits   # a name
task: classification
constraints:
  - {metric: flops, max: 5e5}
  - metric: params
    max: 1e4

algorithm:
  name: fbnetv3
  batch: 12
budget: {trials: 32, seconds: 170}  # soon over
"""


@pytest.mark.parametrize("example", drafts.examples(), ids=lambda one: one.name)
def test_an_example_that_ships_is_written_as_a_draft_that_is_read_as_the_same_spec(example: drafts.Example) -> None:
    spec = JobSpec.parse(load_document(example.text))
    text = drafts.of_spec(spec)
    assert JobSpec.parse(load_document(text)) == spec
    assert len(text.splitlines()) < 50
    assert example.about
    assert "#" not in example.about


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["name"], "a name: with a colon"),
        (["name"], "1e5"),
        (["seed"], 3),
        (["budget", "trials"], 8),
        (["budget", "gpu_hours"], 0.5),
        (["fidelity", "epochs"], 2),
        (["constraints", 0, "max"], 7.5e5),
        (["constraints", 1, "min"], 10),
        (["constraints", 2], {"metric": "latency", "max": 0.01}),
        (["algorithm"], {"name": "tpe"}),
        (["algorithm", "name"], "no"),
    ],
)
def test_a_change_is_read_back_and_touches_nothing_else(path: list[str | int], value: Any) -> None:
    expected = load_document(TEXT)
    at = expected
    for step in path[:-1]:
        at = at.setdefault(step, {}) if isinstance(at, dict) else at[step]
    if isinstance(at, list) and path[-1] == len(at):
        at.append(value)
    else:
        at[path[-1]] = value
    after = changed(TEXT, path, value)
    assert load_document(after) == expected
    for comment in ("# What is searched", "# a name", "# soon over"):
        assert comment in after


@pytest.mark.parametrize("path", [["budget", "seconds"], ["constraints", 0], ["constraints", 1], ["algorithm"]])
def test_what_is_taken_away_is_gone_and_the_rest_is_there(path: list[str | int]) -> None:
    expected = load_document(TEXT)
    at = expected
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    assert load_document(changed(TEXT, path, None)) == expected


def test_the_last_limit_leaves_an_empty_list() -> None:
    text = changed(changed(TEXT, ["constraints", 1], None), ["constraints", 0], None)
    assert load_document(text)["constraints"] == []


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "budget:\n", "budget: 3\n"])
def test_a_place_is_made_where_there_is_none(text: str) -> None:
    assert load_document(changed(text, ["budget", "trials"], 4))["budget"] == {"trials": 4}


@pytest.mark.parametrize("value", ["plain words", "yes", "1e5", "~", "a: b", "", {"a": [1, 2.5, True, None, "é"]}])
def test_a_value_on_one_line_is_read_back(value: Any) -> None:
    assert load_document(f"key: {flow(value)}") == {"key": value}


@pytest.mark.parametrize(
    ("pointer", "line"),
    [("/name", 2), ("/constraints/1/max", 7), ("/budget/seconds", 12), ("/algorithm/none", 9), ("/seed", 1), ("", 1)],
)
def test_a_fault_is_at_its_line_or_at_that_of_what_lacks_it(pointer: str, line: int) -> None:
    assert located(TEXT, Fault(pointer, "is wrong")) == (line, "is wrong")


def test_a_fault_of_the_text_itself_is_at_its_line() -> None:
    with pytest.raises(InvalidInput) as caught:
        load_document(TEXT + "name: twice\n")
    assert located(TEXT, caught.value.faults[0]) == (13, "the key 'name' occurs twice")

"""The filters of the table of trials, applied by the service to rows that no table has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.ui.tables.row_filter import RowFilter
from searchsvc.errors import InvalidInput

ROW = {
    "number": 12,
    "state": "STOPPED",
    "step": 2,
    "m.accuracy": 0.91,
    "m.loss": None,
    "values": "se=true  lr=0.1",
    "reason": "asha: below the best third at epoch 2",
}


@pytest.mark.parametrize(
    ("words", "is_kept"),
    [
        ("", True),
        ("#12", True),
        ("#13", False),
        ("stopped EARLY", True),
        ("early lr=0.1 third", True),
        ("early lr=0.2", False),
        ("0.91", False),
    ],
)
def test_every_word_has_to_be_found_in_what_is_text(words: str, is_kept: bool) -> None:
    assert RowFilter.of(words, "{}").keeps(ROW) is is_kept


@pytest.mark.parametrize(
    ("column", "kind", "operand", "is_kept"),
    [
        ("m.accuracy", "greaterThan", 0.9, True),
        ("m.accuracy", "greaterThanOrEqual", 0.92, False),
        ("m.accuracy", "equals", 0.91, True),
        ("m.accuracy", "notEqual", 0.91, False),
        ("m.accuracy", "lessThanOrEqual", 0.91, True),
        ("m.loss", "lessThan", 1.0, False),
        ("m.loss", "notEqual", 1.0, False),
        ("state", "equals", "Stopped early", True),
        ("state", "notContains", "early", False),
        ("values", "startsWith", "SE=", True),
        ("reason", "endsWith", "epoch 3", False),
    ],
)
def test_a_column_has_to_pass_its_filter(column: str, kind: str, operand: float | str, is_kept: bool) -> None:
    assert RowFilter.of("", json.dumps({column: _model(kind, operand)})).keeps(ROW) is is_kept


@pytest.mark.parametrize(("operator", "is_kept"), [("AND", False), ("OR", True)])
def test_two_conditions_of_a_column_are_joined(operator: str, is_kept: bool) -> None:
    conditions = [_model("greaterThan", 0.9), _model("lessThan", 0.5)]
    where = {"m.accuracy": {"filterType": "number", "operator": operator, "conditions": conditions}}
    assert RowFilter.of("", json.dumps(where)).keeps(ROW) is is_kept


@pytest.mark.parametrize(
    "where", ["", "[]", '{"step": 1}', '{"step": {"filterType": "number", "type": "eval", "filter": 1}}']
)
def test_what_is_no_filter_is_refused(where: str) -> None:
    with pytest.raises(InvalidInput, match="not a valid column filter"):
        RowFilter.of("", where)


def _model(kind: str, operand: float | str) -> dict[str, Any]:
    return {"filterType": "text" if isinstance(operand, str) else "number", "type": kind, "filter": operand}

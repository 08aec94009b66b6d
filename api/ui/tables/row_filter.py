"""Filters of the table of trials. They match the same rows in the browser and in the service."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import orjson

from api.ui.parts.theme import STATES
from api.ui.tables.rows import Row
from searchsvc.errors import InvalidInput

Test = Callable[[Any, Any], bool]

NUMBERS: Mapping[str, Test] = MappingProxyType(
    {
        "equals": operator.eq,
        "notEqual": operator.ne,
        "lessThan": operator.lt,
        "lessThanOrEqual": operator.le,
        "greaterThan": operator.gt,
        "greaterThanOrEqual": operator.ge,
    }
)
"""Tests of a column of numbers; a row without a number passes none of them."""
TEXTS: Mapping[str, Test] = MappingProxyType(
    {
        "contains": operator.contains,
        "notContains": lambda text, part: part not in text,
        "equals": operator.eq,
        "notEqual": operator.ne,
        "startsWith": str.startswith,
        "endsWith": str.endswith,
    }
)
"""Tests of a column of text."""
_JOINED = MappingProxyType({"AND": all, "OR": any})


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Words that a row must contain, and tests that its columns must pass."""

    words: tuple[str, ...]
    columns: Mapping[str, Callable[[Any], bool]]

    @classmethod
    def of(cls, matching: str, where: str) -> Self:
        """Build a filter from words (`matching`) and AG Grid's filter model as JSON (`where`). Raises InvalidInput."""
        try:
            columns = {name: _condition(model) for name, model in orjson.loads(where).items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput.at("/where", f"not a valid column filter: {error!r}") from None
        return cls(tuple(matching.casefold().split()), columns)

    def keeps(self, row: Row) -> bool:
        """Return whether the row of a trial passes the filter."""
        state = STATES[row["state"]][2]
        text = f"#{row['number']}\n{state}\n{row['values']}\n{row['reason']}".casefold()
        shown = {**row, "state": state}
        has_words = all(word in text for word in self.words)
        return has_words and all(passes(shown.get(name)) for name, passes in self.columns.items())


def _condition(model: Mapping[str, Any]) -> Callable[[Any], bool]:
    if "operator" in model:
        join, parts = _JOINED[model["operator"]], [_condition(one) for one in model["conditions"]]
        return lambda value: join(passes(value) for passes in parts)
    operand = model["filter"]
    if model["filterType"] == "number":
        test, number = NUMBERS[model["type"]], float(operand)
        return lambda value: value is not None and test(value, number)
    test, text = TEXTS[model["type"]], str(operand).casefold()
    return lambda value: test(str(value or "").casefold(), text)

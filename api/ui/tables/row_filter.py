"""The filters of a table of trials, as the browser describes them: the same rows match here that match there."""

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
"""What the head of a column of numbers offers; a row without the number passes none."""
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
"""What the head of a column of text offers."""
_JOINED = MappingProxyType({"AND": all, "OR": any})


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Words that all have to stand in a row, and what its columns have to pass."""

    words: tuple[str, ...]
    columns: Mapping[str, Callable[[Any], bool]]

    @classmethod
    def of(cls, matching: str, where: str) -> Self:
        """`matching`: words; `where`: AG Grid's filter model as JSON. Raises InvalidInput."""
        try:
            columns = {name: _condition(model) for name, model in orjson.loads(where).items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput.at("/where", f"no filter of the columns of the table: {error!r}") from None
        return cls(tuple(matching.casefold().split()), columns)

    def keeps(self, row: Row) -> bool:
        """A row of a trial, as the table holds it."""
        state = STATES[row["state"]][2]
        text = f"#{row['number']}\n{state}\n{row['values']}\n{row['reason']}".casefold()
        shown = {**row, "state": state}
        found = all(word in text for word in self.words)
        return found and all(passes(shown.get(name)) for name, passes in self.columns.items())


def _condition(model: Mapping[str, Any]) -> Callable[[Any], bool]:
    if "operator" in model:
        join, parts = _JOINED[model["operator"]], [_condition(one) for one in model["conditions"]]
        return lambda value: join(passes(value) for passes in parts)
    wanted = model["filter"]
    if model["filterType"] == "number":
        test, number = NUMBERS[model["type"]], float(wanted)
        return lambda value: value is not None and test(value, number)
    test, text = TEXTS[model["type"]], str(wanted).casefold()
    return lambda value: test(str(value or "").casefold(), text)

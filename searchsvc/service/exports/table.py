"""`csv`: all trials, a row each, with a column per parameter, metric and test metric. Read and written in pages.

The cell of a parameter that is not active is empty; the choice null is written as `null`.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from searchsvc.domain import Trial
from searchsvc.domain.fields import RecordField, shown_fields
from searchsvc.service.exports.source import Source

_FIELDS = {field.name: field for field in shown_fields(Trial).values() if field.is_exported}
_FIXED = ("number", *(name for name in _FIELDS if name != "number"))
"""Columns that every trial has: its number, then all other exported fields."""


def write(source: Source, path: Path) -> None:
    """Write the table in two passes, so that the columns are known without keeping the trials."""
    columns: dict[str, None] = dict.fromkeys(_FIXED)
    for page in source.pages():
        columns.update(dict.fromkeys(name for trial in page for name in _row(trial)))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _ordered(columns), restval="")
        writer.writeheader()
        for page in source.pages():
            writer.writerows({name: value for name, value in _row(trial).items() if name in columns} for trial in page)


def _ordered(columns: dict[str, None]) -> list[str]:
    """Sort columns: the columns of every trial, then parameters, metrics and test metrics."""
    groups = ("parameter.", "metric.", "test.")
    named = [[name for name in columns if name.startswith(group)] for group in groups]
    return [*_FIXED, *(name for group in named for name in group)]


def _row(trial: Trial) -> dict[str, Any]:
    row: dict[str, Any] = {name: _cell(_FIELDS[name], getattr(trial, name)) for name in _FIXED}
    row |= {f"parameter.{name}": "null" if value is None else value for name, value in trial.values.items()}
    row |= {f"metric.{name}": value for name, value in {**trial.proposal.costs, **(trial.metrics or {})}.items()}
    return row | {f"test.{name}": value for name, value in (trial.test_metrics or {}).items()}


def _cell(field: RecordField, value: Any) -> Any:
    """Return the value of a field in the form of a table's cell: times in RFC 3339, UTC."""
    if not field.is_time or value is None:
        return value
    return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

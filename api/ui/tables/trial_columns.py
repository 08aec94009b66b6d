"""Columns of the table of a job's trials."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from api.ui.parts.metrics import metric_names
from api.ui.tables.grids import number_column, text_column
from api.ui.tables.rows import headed_fields
from searchsvc.domain import JobSpec
from searchsvc.domain.fields import RecordField

_BY_WORD = {
    ":cellRenderer": "stateCell",
    ":filterValueGetter": "p => stateWord(p.context, p.data.state)",
    ":getQuickFilterText": "p => stateWord(p.context, p.value)",
}
"""Filters match the displayed word for the state."""
_LOOKS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "step": {"width": 90},
        "seconds": {"width": 105, ":valueFormatter": "p => p.value === null ? '' : p.value.toFixed(1)"},
    }
)
"""Properties of columns that differ from those of other fields of their type."""
_FIRST = "step"
"""The field before the metrics; all others follow them."""


def trial_columns(spec: JobSpec) -> list[dict[str, Any]]:
    """Return the columns of `trial_row`: state, metrics, fields with a heading, candidate and reason."""
    fields = dict(headed_fields())
    return [
        {
            **number_column("number", "Trial", 90),
            ":valueFormatter": "p => '#' + p.value",
            ":getQuickFilterText": "p => '#' + p.value",
            ":cellRenderer": "linkCell",
        },
        text_column("state", "State", width=140, **_BY_WORD),
        _field_column(fields.pop(_FIRST)),
        *(number_column(f"m.{metric}", metric, 125) for metric in metric_names(spec)),
        *map(_field_column, fields.values()),
        text_column("values", "Candidate", minWidth=260, flex=2),
        text_column("reason", "Reason", minWidth=160, flex=1),
    ]


def _field_column(field: RecordField) -> dict[str, Any]:
    assert field.shown is not None
    column = number_column if field.kind in (int, float) else text_column
    return {**column(field.name, field.shown.heading or field.name), **_LOOKS.get(field.name, {})}

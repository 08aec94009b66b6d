"""Grids: large tables of changing rows, which the browser fetches once and renders as they become visible."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from api.ui.parts.theme import STATES
from api.ui.session import PATH
from api.ui.tables.row_filter import NUMBERS, TEXTS
from api.ui.tables.rows import Rows


def rows_path(topic: str) -> str:
    """Return the path from which the browser fetches the rows of a topic."""
    return f"{PATH}/rows/{topic}"


_SELECTION: dict[str, Any] = {
    "rowSelection": {"mode": "multiRow", "checkboxes": True, "headerCheckbox": False, "enableClickSelection": False},
    "selectionColumnDef": {"width": 44, "resizable": False, "suppressHeaderMenuButton": True},
    ":onSelectionChanged": "e => enableCompare(e.api)",
}


def number_column(field: str, title: str, width: int = 120) -> dict[str, Any]:
    """Return a column of numbers in four digits, with k, M, G; the search for words ignores it."""
    return {
        "field": field,
        "headerName": title,
        "width": width,
        "type": "rightAligned",
        "filter": "agNumberColumnFilter",
        "filterParams": {"filterOptions": list(NUMBERS)},
        ":getQuickFilterText": "() => ''",
        ":valueFormatter": "p => shortNumber(p.value)",
    }


def text_column(field: str, title: str, **options: Any) -> dict[str, Any]:
    """Return a column of text."""
    return {
        "field": field,
        "headerName": title,
        "filter": "agTextColumnFilter",
        "filterParams": {"filterOptions": list(TEXTS)},
        **options,
    }


class Grid:
    """A table of the rows of a topic; a click or Enter opens the page `opens` + the row's id."""

    def __init__(
        self,
        name: str,
        columns: Sequence[Mapping[str, Any]],
        classes: str,
        *,
        topic: str,
        opens: str,
        auto_height: bool = False,
        selects: bool = False,
    ) -> None:
        """Create the grid; with `selects`, rows can be selected by a checkbox."""
        self._path = rows_path(topic)
        self._shown: int | None = None
        self.element = ui.aggrid(
            {
                "columnDefs": list(columns),
                "defaultColDef": {"sortable": True, "resizable": True, "filter": True, "suppressMovable": True},
                "loading": True,
                "context": {"states": dict(STATES), "opens": opens},
                "suppressFieldDotNotation": True,
                "suppressCellFocus": False,
                "rowHeight": 36,
                "headerHeight": 36,
                "animateRows": False,
                "overlayNoRowsTemplate": "<span></span>",
                ":getRowId": "params => params.data.id",
                ":onGridReady": f"e => fillGrid({json.dumps(self._path)}, e.api)",
                ":onRowClicked": "e => { location.href = pageOf(e) }",
                ":onCellKeyDown": "e => { if (e.event?.key === 'Enter') location.href = pageOf(e) }",
                **({"domLayout": "autoHeight"} if auto_height else {}),
                **(_SELECTION if selects else {}),
            },
            theme="quartz",
            auto_size_columns=False,
        ).classes(classes)
        self.element.props["aria-label"] = name

    def show(self, rows: Rows) -> None:
        """Send the changes; a page without the previous version fetches all rows again."""
        if self._shown is not None and rows.version != self._shown:
            change = rows.change if rows.version == self._shown + 1 else json.dumps({"version": rows.version})
            self.element.client.run_javascript(f"changeGrid({json.dumps(self._path)}, {change})")
        self._shown = rows.version

    def filter(self, words: str) -> None:
        """Show only rows that contain these words."""
        self.element.run_grid_method("setGridOption", "quickFilterText", words)

"""Grids: large tables of rows that change, drawn as far as they are seen; only what changed is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from nicegui import ui

from api.ui.theme import STATES

Row: TypeAlias = Mapping[str, Any]
_OPENS = "e => { if (e.data?.href && e.event?.key === 'Enter') location.href = e.data.href }"

_SELECTION: Row = {
    "rowSelection": {"mode": "multiRow", "checkboxes": True, "headerCheckbox": False, "enableClickSelection": False},
    "selectionColumnDef": {"width": 44, "resizable": False, "suppressHeaderMenuButton": True},
    ":onSelectionChanged": "e => rowsChosen(e.api)",
}


def number_column(field: str, title: str, width: int = 120) -> dict[str, Any]:
    """A column of numbers in four digits, with k, M, G."""
    return {
        "field": field,
        "headerName": title,
        "width": width,
        "type": "rightAligned",
        "filter": "agNumberColumnFilter",
        ":valueFormatter": "p => shortNumber(p.value)",
    }


class Grid:
    """A table of rows with ids; a click or Enter opens a row's `href`."""

    def __init__(
        self,
        name: str,
        columns: Sequence[Mapping[str, Any]],
        classes: str,
        *,
        auto_height: bool = False,
        selects: bool = False,
    ) -> None:
        """`selects`: rows can be chosen, by a box at their beginning."""
        self._rows: dict[str, Row] = {}
        self.element = ui.aggrid(
            {
                "columnDefs": list(columns),
                "defaultColDef": {"sortable": True, "resizable": True, "filter": True, "suppressMovable": True},
                "rowData": [],
                "context": {"states": dict(STATES)},
                "suppressFieldDotNotation": True,
                "suppressCellFocus": False,
                "rowHeight": 36,
                "headerHeight": 36,
                "animateRows": False,
                "overlayNoRowsTemplate": "<span></span>",
                ":getRowId": "params => params.data.id",
                ":onRowClicked": "e => { if (e.data?.href) location.href = e.data.href }",
                ":onCellKeyDown": _OPENS,
                **({"domLayout": "autoHeight"} if auto_height else {}),
                **(_SELECTION if selects else {}),
            },
            theme="quartz",
            auto_size_columns=False,
        ).classes(classes)
        self.element.props["aria-label"] = name
        self._is_first = True

    def show(self, rows: Mapping[str, Row]) -> None:
        """These rows, by id, in their order at first."""
        add = [{**row, "id": key} for key, row in rows.items() if key not in self._rows]
        update = [{**row, "id": key} for key, row in rows.items() if key in self._rows and self._rows[key] != row]
        remove = [{"id": key} for key in self._rows.keys() - rows.keys()]
        if self._is_first:
            self.element.run_grid_method("setGridOption", "rowData", add)
        elif add or update or remove:
            self.element.run_grid_method(
                "applyTransaction", {"add": add, "addIndex": 0, "update": update, "remove": remove}
            )
        self._is_first = False
        self._rows = dict(rows)

    def filter(self, words: str) -> None:
        """Only rows in which these words are found."""
        self.element.run_grid_method("setGridOption", "quickFilterText", words)

    def save(self, name: str) -> None:
        """Download what is shown, as CSV."""
        self.element.run_grid_method("exportDataAsCsv", {"fileName": name})

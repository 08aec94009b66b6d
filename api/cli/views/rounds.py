"""The reports of an algorithm's rounds as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from api.cli.output import table
from api.cli.views.jobs import Document
from api.rounds_text import round_columns


def round_table(rounds: Sequence[Document]) -> Table:
    """Return a line per round, with a column for each value that any round reports."""
    columns, rows = round_columns(rounds)
    return table(columns, rows, right=columns)

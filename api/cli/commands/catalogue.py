"""Commands that list the algorithms and tasks that a job can use."""

from __future__ import annotations

from typing import Any

import typer
from rich.table import Table

from api.cli.options import AsJson
from api.cli.output import emit, say, table
from api.cli.session import session


def algorithms(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the algorithms and the stopping rules."""
    with session(ctx).client() as client:
        tables = {name: list(client.items(f"/{name}")) for name in ("algorithms", "stopping-rules")}
    if as_json:
        return emit({name.replace("-", "_"): entries for name, entries in tables.items()})
    return say(_methods("algorithm", tables["algorithms"]), "", _methods("stopping rule", tables["stopping-rules"]))


def tasks(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the installed tasks with their metrics and export formats."""
    print_table(ctx, "tasks", as_json, ("name", "metrics", "exports", "description"))


def print_table(ctx: typer.Context, name: str, as_json: bool, columns: tuple[str, ...]) -> None:
    """Print a table of the service."""
    with session(ctx).client() as client:
        entries = list(client.items(f"/{name}"))
    if as_json:
        return emit(entries)
    return say(table(columns, [[_cell(entry.get(column)) for column in columns] for entry in entries]))


def _methods(kind: str, entries: list[dict[str, Any]]) -> Table:
    rows = [
        (entry["name"], ", ".join(entry["options"].get("properties", {})), entry["description"]) for entry in entries
    ]
    return table((kind, "options", "description"), rows)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(one["name"] if isinstance(one, dict) else str(one) for one in value)
    if isinstance(value, int):
        return f"{value:,}"
    return "continuous" if value is None else str(value)

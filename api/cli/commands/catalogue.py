"""Commands that list what can be searched, by what, on what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from api.cli.options import AsJson, session

if TYPE_CHECKING:
    from rich.table import Table


def algorithms(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the algorithms and the stopping rules."""
    from api.cli.output import emit, say

    with session(ctx).client() as client:
        found = {what: list(client.items(f"/{what}")) for what in ("algorithms", "stopping-rules")}
    if as_json:
        return emit({name.replace("-", "_"): entries for name, entries in found.items()})
    return say(_methods("algorithm", found["algorithms"]), "", _methods("stopping rule", found["stopping-rules"]))


def datasets(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the datasets and formats that the installed tasks can read."""
    listed(ctx, "datasets", as_json, ("name", "task", "description"))


def tasks(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the installed tasks, what they measure and what a job of them can be exported as."""
    listed(ctx, "tasks", as_json, ("name", "metrics", "exports", "description"))


def listed(ctx: typer.Context, what: str, as_json: bool, columns: tuple[str, ...]) -> None:
    """Print the entries of one of the service's tables."""
    from api.cli.output import emit, say, table

    with session(ctx).client() as client:
        found = list(client.items(f"/{what}"))
    if as_json:
        return emit(found)
    return say(table(columns, [[_cell(one.get(column)) for column in columns] for one in found]))


def _methods(kind: str, found: list[dict[str, Any]]) -> Table:
    from api.cli.output import table

    rows = [(one["name"], ", ".join(one["options"].get("properties", {})), one["description"]) for one in found]
    return table((kind, "options", "description"), rows)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(one["name"] if isinstance(one, dict) else str(one) for one in value)
    if isinstance(value, int):
        return f"{value:,}"
    return "continuous" if value is None else str(value)

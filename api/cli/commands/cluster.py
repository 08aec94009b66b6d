"""searchctl cluster: nodes, what runs on them, what waits and why."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from api.cli.options import AsJson, session

if TYPE_CHECKING:
    from rich.table import Table


def cluster(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the nodes of the cluster, the attempts that run, and what waits with the reasons."""
    from api.cli.output import emit, say

    with session(ctx).client() as client:
        found = client.get("/cluster")
    if as_json:
        return emit(found)
    return say(_nodes(found["nodes"]), "", _running(found["running"]), "", _queue(found["queue"]))


def _nodes(nodes: Sequence[Mapping[str, Any]]) -> Table | str:
    from api.cli.output import table

    if not nodes:
        return "No driver is at work: nothing is known of the cluster."
    columns = ("node", "CPUs", "GPUs", "memory", "attempts", "")
    rows = [
        (
            one["address"],
            f"{one['cpus_used']:g} of {one['cpus']:g}",
            f"{one['gpus_used']:g} of {one['gpus']:g}",
            f"{one['memory_bytes_used'] / 2**30:.1f} of {one['memory_bytes'] / 2**30:.1f} GiB",
            str(one["attempts"]),
            "avoided" if one["avoided"] else "",
        )
        for one in nodes
    ]
    return table(columns, rows, right=columns[1:5])


def _running(running: Sequence[Mapping[str, Any]]) -> Table | str:
    from api import text
    from api.cli.output import table

    if not running:
        return "Nothing runs."
    rows = [
        (
            f"{one['job']} #{one['trial']}",
            str(one["attempt"]),
            text.ago(one["started_at"], time.time()),
            one["node"] or "",
            str(one["pid"] or ""),
        )
        for one in running
    ]
    return table(("running", "attempt", "since", "node", "process"), rows)


def _queue(queue: Sequence[Mapping[str, Any]]) -> Table | str:
    from api.cli.output import table

    if not queue:
        return "Nothing waits."
    rows = [(one["job"] if one["trial"] is None else f"{one['job']} #{one['trial']}", one["reason"]) for one in queue]
    return table(("waiting", "why"), rows)

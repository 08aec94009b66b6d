"""searchctl cluster: nodes, running attempts, and waiting trials with the reasons."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.table import Table

from api import text
from api.cli.options import AsJson
from api.cli.output import emit, say, table
from api.cli.session import session


def cluster(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the nodes of the cluster, the running attempts, and the waiting trials with the reasons."""
    with session(ctx).client() as client:
        state = client.get("/cluster")
    if as_json:
        return emit(state)
    return say(
        _nodes(state["nodes"]), "", _running(state["running"]), "", _queue(state["queue"]), "", _controllers(state)
    )


def _nodes(nodes: Sequence[Mapping[str, Any]]) -> Table | str:
    if not nodes:
        return "No driver is at work: the nodes of the cluster are unknown."
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


def _controllers(state: Mapping[str, Any]) -> Table | str:
    controllers = state.get("controllers", [])  # missing in a service of an earlier version
    if not controllers:
        return "No controller has reported itself."
    rows = [
        (
            f"{one['host']}, process {one['pid']}",
            str(one["drivers"]),
            text.ago(one["seen_at"], time.time())
            if one["is_alive"]
            else f"{text.ago(one['seen_at'], time.time())}, dead",
            str(one["errors"]),
            one["last_error"] or "",
        )
        for one in controllers
    ]
    return table(("controller", "jobs", "last report", "errors", "last error"), rows)


def _running(running: Sequence[Mapping[str, Any]]) -> Table | str:
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
    if not queue:
        return "Nothing waits."
    rows = [(one["job"] if one["trial"] is None else f"{one['job']} #{one['trial']}", one["reason"]) for one in queue]
    return table(("waiting", "why"), rows)

"""The cluster page: nodes, running trials, the queue with reasons, and the controllers; live."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import Request, Response
from nicegui import ui
from nicegui.element import Element

from api.ui.context import PageContext
from api.ui.frame import follow, framed
from api.ui.parts import event_text
from api.ui.parts.widgets import Bar, Moment, Text, box, card, link, table
from api.ui.session import PATH, Visitor
from searchsvc.domain import Job, Trial
from searchsvc.service.system.cluster import MOST, Cluster, ControllerState, NodeUse, Waiting, Work

_GIB = 2**30


def register() -> None:
    ui.page("/cluster", response_timeout=30)(cluster_page)


async def cluster_page(request: Request) -> Response | None:
    return await framed(request, "Cluster", "Cluster", build)


async def build(context: PageContext, visitor: Visitor) -> None:  # noqa: ARG001 - the signature of every page
    """Lay out four cards that are updated live."""
    Text("h1", "Cluster")
    note = "As reported by the running drivers. Usage is the sum of the resources that running trials requested."
    page = ClusterPage(_card("Nodes", note), _card("Running"), _card("Queue"), _card("Controllers"))
    follow(context.cluster, page.show)


class ClusterPage:
    """Content of the cards."""

    def __init__(self, nodes: Element, running: Element, queue: Element, controllers: Element) -> None:
        self._nodes, self._running, self._queue, self._controllers = nodes, running, queue, controllers
        self._shown: Cluster | None = None

    def show(self, cluster: Cluster) -> None:
        before, self._shown = self._shown, cluster
        if before is None or before.nodes != cluster.nodes:
            _replace(self._nodes, lambda: _show_nodes(cluster.nodes))
        if before is None or before.running != cluster.running:
            _replace(self._running, lambda: _show_running(cluster.running))
        if before is None or before.queue != cluster.queue:
            _replace(self._queue, lambda: _show_queue(cluster.queue))
        if before is None or before.controllers != cluster.controllers:
            _replace(self._controllers, lambda: _show_controllers(cluster.controllers))


def _card(title: str, note: str = "") -> Element:
    with card(title, note):
        return box("stack")


def _replace(holder: Element, fill: Callable[[], None]) -> None:
    holder.clear()
    with holder:
        fill()


def _show_nodes(nodes: Sequence[NodeUse]) -> None:
    if not nodes:
        Text("p", "No driver is running. Nodes appear here when a job runs.", "muted")
        return
    with box("grid"):
        for use in nodes:
            with box("stack node"):
                with box("row"):
                    Text("h3", use.node.address)
                    Text("span", use.node.id[:12], "muted small mono")
                    if use.node.avoided:
                        Text("span", "avoided after too many failed trials", "tone-red small")
                with box("budget"):
                    _share("CPUs", use.cpus, use.node.cpus)
                    _share("GPUs", use.gpus, use.node.gpus)
                    _share("memory", use.memory_bytes / _GIB, use.node.memory_bytes / _GIB, " GiB")
                Text("p", f"{use.attempts} running", "muted small")


def _share(name: str, used: float, offered: float, unit: str = "") -> None:
    if offered:
        Text("span", name, "muted")
        Bar(name).show(used / offered)
        Text("span", f"{used:.3g} of {offered:.3g}{unit}")


def _show_running(running: Sequence[Work]) -> None:
    if not running:
        Text("p", "No trials are running.", "muted")
        return
    rows = [
        (
            lambda one=one: _named(one.job, one.trial),
            str(one.attempt.number),
            lambda one=one: Moment(one.attempt.started_at),
            event_text.node_address(one.attempt),
            str(one.attempt.pid or ""),
        )
        for one in running
    ]
    table(("trial", "attempt", "since", "node", "process"), rows)
    _cut(len(running))


def _show_queue(queue: Sequence[Waiting]) -> None:
    if not queue:
        Text("p", "Nothing is waiting.", "muted")
        return
    table(("job or trial", "reason"), [(lambda one=one: _named(one.job, one.trial), one.reason) for one in queue])
    _cut(len(queue))


def _show_controllers(controllers: Sequence[ControllerState]) -> None:
    if not controllers:
        Text("p", "No controller has reported itself. Jobs wait until a controller starts.", "muted")
        return
    rows = [
        (
            f"{one.report.host}, process {one.report.pid}",
            "alive" if one.is_alive else "dead: no report for a minute",
            str(one.report.drivers),
            lambda one=one: Moment(one.report.seen_at),
            str(one.report.errors),
            one.report.last_error or "",
        )
        for one in controllers
    ]
    table(("controller", "state", "jobs", "last report", "errors", "last error"), rows)


def _cut(count: int) -> None:
    if count >= MOST:
        Text("p", f"Only the oldest {MOST} are shown.", "muted small")


def _named(job: Job, trial: Trial | None) -> None:
    if trial is None:
        link(job.name, f"{PATH}/jobs/{job.id}")
    else:
        link(f"{job.name} #{trial.number}", f"{PATH}/jobs/{job.id}/trials/{trial.number}")

"""The trial page: the candidate, its training and its files; live while the trial runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from fastapi import Request, Response
from nicegui import ui
from nicegui.element import Element

from api import text
from api.ui.charts import results as charts
from api.ui.charts.chart_element import ChartElement
from api.ui.context import PageContext
from api.ui.frame import follow, framed
from api.ui.live.log_tail import LOG_LINES
from api.ui.live.trial_view import TrialView
from api.ui.pages.compare.page import compare_path, reference
from api.ui.pages.trial import files as trial_files
from api.ui.pages.trial import network as trial_network
from api.ui.pages.trial.log import TrialLog
from api.ui.panel import Panel
from api.ui.parts import event_text
from api.ui.parts.metrics import costs_and_metrics, metric_names
from api.ui.parts.widgets import Bar, Figure, Moment, State, Text, box, card, link, table
from api.ui.session import PATH, Visitor
from searchsvc.domain import Attempt, Job, JobSpec, Measurement, Scalar, Trial
from searchsvc.service.results.architecture import Architecture
from searchsvc.spaces.halves import halves


def register() -> None:
    ui.page("/jobs/{job}/trials/{number}", response_timeout=30)(trial_page)


async def trial_page(request: Request, job: str, number: str) -> Response | None:
    async def build(context: PageContext, visitor: Visitor) -> None:  # noqa: ARG001 - the signature of every page
        shown_job = await context.call(context.service.jobs.get, job)
        trial = await context.call(context.service.trials.get, f"{shown_job.id}/{number}")
        ui.page_title(f"{shown_job.name} #{trial.number} - searchsvc")
        page = TrialPage(context, shown_job, trial)
        follow(context.trial(shown_job, trial), page.show)
        follow(context.log(shown_job, trial), page.log.show, reports_errors=False)

    return await framed(request, "Trial", "", build)


class TrialPage:
    """Content of the trial page."""

    def __init__(self, context: PageContext, job: Job, trial: Trial) -> None:
        self._shown: TrialView | None = None
        link(f"← {job.name}", f"{PATH}/jobs/{job.id}", "small")
        with box("row"):
            Text("h1", f"Trial #{trial.number}")
            link("Compare", compare_path([reference(trial)]), "plain small")
            self._state = State(trial.state.value)
            what = "supernet" if not trial.is_candidate else "full training" if trial.proposal.in_full else ""
            Text("span", what, "muted small")
        self._reason = Text("pre", "", "notice wrap hidden")
        with box("card"):
            with box("budget"):
                Text("span", "epochs", "muted")
                self._bar, self._epochs = Bar("epochs"), Text("span")
            self._figures = box("figures")
        self._network: Panel[Architecture] | None = None
        if trial.is_candidate:
            self._network = Panel(
                context,
                "Architecture",
                "Stage by stage, from the input on. A drawn map is as high as the output and as wide as its channels.",
                lambda: context.service.trials.architecture(trial.id),
                self._draw_network,
            )
        with box("halves"):
            _candidate(trial)
            with box("side"):
                with card("Measurements"):
                    self._chart = ChartElement("Measurements by epoch")
                    self._measured = box("scroll events")
                    self._measured.props["tabindex"] = "0"
                with card("Attempts", "Executions on workers; a retry adds one."):
                    self._attempts = box("")
                with card("Files"):
                    self._files = box("stack")
        with card("Log", f"The last {LOG_LINES} lines that the trial has written."):
            self.log = TrialLog()

    def _draw_network(self, architecture: Architecture) -> None:
        assert self._network is not None
        _replace(self._network.content, lambda: trial_network.draw(architecture))

    def show(self, view: TrialView) -> None:
        if view == self._shown:
            return
        before, self._shown = self._shown, view
        trial, epochs = view.trial, view.spec.fidelity.epochs
        self._state.show(trial.state.value)
        reason = "\n".join(filter(None, (trial.failure and trial.failure.value, trial.reason)))
        self._reason.set_text(reason)
        self._reason.classes(remove="hidden") if reason else self._reason.classes(add="hidden")
        self._bar.show(trial.step / epochs)
        self._epochs.set_text(f"{trial.step} of {epochs}" if trial.is_candidate else f"{trial.step} steps")
        _replace(self._figures, lambda: _figures(trial, view.spec))
        if before is None and self._network is not None:
            self._network.changed()
        if before is None or before.measurements != view.measurements:
            self._chart.draw(charts.trial_curve(view.measurements, view.spec))
            _replace(self._measured, lambda: _measurements(view.measurements, view.spec))
        if before is None or before.attempts != view.attempts:
            _replace(self._attempts, lambda: _attempts(view.attempts))
        if before is None or before.artifacts != view.artifacts:
            _replace(self._files, lambda: trial_files.draw(view.artifacts))


def _replace(holder: Element, fill: Callable[[], None]) -> None:
    """Replace the content of an element."""
    holder.clear()
    with holder:
        fill()


def _candidate(trial: Trial) -> None:
    """Show the architecture and the recipe of a candidate."""
    candidate = halves(trial.values)
    with card("Candidate"):
        for title, values in (("Architecture", candidate.architecture), ("Recipe", candidate.recipe)):
            if values:
                Text("h3", title, "muted small")
                _values(values)
        if not trial.values:
            Text("p", "A supernet: one network whose weights all candidates share.", "muted")


def _values(values: Mapping[str, Scalar]) -> None:
    table(("parameter", "value"), [(name, text.choice(value)) for name, value in values.items()])


def _figures(trial: Trial, spec: JobSpec) -> None:
    """Show the costs and the metrics of the best step, then the metrics on the test split."""
    tested = {f"test {name}": value for name, value in (trial.test_metrics or {}).items()}
    for name, value in {**costs_and_metrics(trial), **tested, "training": trial.seconds}.items():
        if "/" not in name or name.removeprefix("test ") in metric_names(spec):
            unit = "seconds" if name == "training" else name.removeprefix("test ")
            Figure(name).show(text.quantity(unit, value))


def _measurements(measurements: Sequence[Measurement], spec: JobSpec) -> None:
    measured = dict.fromkeys(name for one in measurements for name in one.metrics)
    names = [name for name in measured if "/" not in name or name in metric_names(spec)]
    columns = ("epoch", *names, "seconds")
    rows = [
        (str(one.step), *(text.quantity(name, one.metrics.get(name)) for name in names), f"{one.seconds:.1f}")
        for one in reversed(measurements)
    ]
    table(columns, rows, numbers=columns)


def _attempts(attempts: Iterable[Attempt]) -> None:
    rows = [
        (
            str(one.number),
            lambda one=one: State(one.state.value),
            lambda one=one: Moment(one.started_at),
            text.duration(one.finished_at - one.started_at) if one.finished_at else "",
            event_text.node_address(one),
            one.pid or "",
            "\n".join(filter(None, (one.failure and one.failure.value, one.message))),
        )
        for one in attempts
    ]
    columns = ("attempt", "state", "started", "duration", "node", "process", "reason")
    table(columns, rows, numbers=("duration", "process"))

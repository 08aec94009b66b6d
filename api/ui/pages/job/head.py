"""The head of a job page: state and reason, actions, budget and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from nicegui import ui

from api import text
from api.rest.routes.jobs import ACTIONS
from api.ui.context import PageContext
from api.ui.frame import attempt
from api.ui.live.job_view import JobView
from api.ui.pages.job.export_menu import clone_link, export_menu
from api.ui.parts.metrics import cost_text, costs_and_metrics, limit_text, metric_names
from api.ui.parts.widgets import Bar, Figure, Moment, State, Text, box, link
from api.ui.session import PATH, Visitor
from searchsvc.domain import Job, TrialState, count_for_budget
from searchsvc.domain.life_cycle import Trigger, can_change
from searchsvc.service.exports.export import Format
from searchsvc.service.results.standing import JobSummary
from searchsvc.service.system.tokens import Scope


@dataclass(frozen=True, slots=True)
class JobAction:
    """A button: its label, when it is offered, a question to confirm it (or None), and the notice afterwards."""

    label: str
    fits: Callable[[JobSummary], bool]
    question: str | None
    done: str


def _can_change(summary: JobSummary, verb: Trigger) -> bool:
    return can_change(summary.job.state, summary.job.request, verb)


JOB_ACTIONS: Mapping[str, JobAction] = MappingProxyType(
    {
        "pause": JobAction(
            "Pause", lambda one: _can_change(one, Trigger.PAUSE), None, "Pausing: trials keep their checkpoints."
        ),
        "resume": JobAction("Resume", lambda one: _can_change(one, Trigger.RESUME), None, "The job continues."),
        "stop": JobAction(
            "Stop",
            lambda one: _can_change(one, Trigger.STOP),
            None,
            "Stopping: running trials finish, no new trials start.",
        ),
        "cancel": JobAction(
            "Cancel",
            lambda one: _can_change(one, Trigger.CANCEL),
            "All running trials end immediately. To let them finish, stop the job instead.",
            "Cancelling.",
        ),
        "retry": JobAction(
            "Retry failed",
            lambda one: _can_change(one, Trigger.RETRY) and one.counts.get(TrialState.FAILED, 0) > 0,
            None,
            "Failed trials run again.",
        ),
    }
)


class JobHead:
    """The part of the page above the charts."""

    def __init__(self, context: PageContext, visitor: Visitor, job: Job, formats: Mapping[str, Format]) -> None:
        self._context, self._visitor, self._job = context, visitor, job
        self._buttons: dict[str, Any] = {}
        with box("stack"):
            link("← All jobs", f"{PATH}/", "small")
            with box("row spread"):
                with box("row"):
                    Text("h1", job.name)
                    self._state = State(job.state.value)
                    self._request = Text("span", "", "muted small")
                with box("row actions"):
                    if visitor.may(Scope.SUBMIT):
                        self._actions()
                    export_menu(job, formats)
            Text("p", _description(job), "muted wrap")
            if job.spec.tags:
                with box("row small", "ul").classes("chosen") as tags:
                    for tag in job.spec.tags:
                        Text("li", tag, "chip wrap")
                tags.props["aria-label"] = "Tags"
        self._reason = Text("pre", "", "notice wrap hidden")
        with box("card"):
            self._budget()
            with box("figures"):
                self._figures = {
                    name: Figure(name) for name in ("best", "trials", "pace", "time left", "time used", "cost")
                }
                with box("figure"):
                    Text("div", "submitted", "name")
                    with box("value small"):
                        Moment(job.created_at)

    def _actions(self) -> None:
        for verb, action in JOB_ACTIONS.items():
            button = Text("button", action.label, "plain danger" if action.question else "plain")
            button.props["type"], button.props["title"] = "button", ACTIONS[verb][1]
            button.on("click", lambda _, verb=verb: self._run_action(verb))
            button.set_visibility(False)
            self._buttons[verb] = button
        extend = Text("button", "Extend", "plain")
        extend.props["type"], extend.props["title"] = "button", "Increase the budget of the job"
        extend.on("click", self._extend)
        clone_link(self._job)

    async def _run_action(self, verb: str) -> None:
        action = JOB_ACTIONS[verb]
        if action.question is None or await _confirm(action.label, action.question):
            act = ACTIONS[verb][0]
            await attempt(
                self._context,
                self._visitor,
                Scope.SUBMIT,
                lambda: act(self._context.service.jobs, self._job.id),
                action.done,
            )

    async def _extend(self) -> None:
        budget = (await self._context.call(self._context.service.jobs.get, self._job.id)).spec.budget
        limits = {"trials": budget.trials, "seconds": budget.seconds, "gpu_hours": budget.gpu_hours}
        totals = await _ask_for_totals({name: value for name, value in limits.items() if value is not None})
        if totals:
            if "trials" in totals:
                totals["trials"] = int(totals["trials"])
            await attempt(
                self._context,
                self._visitor,
                Scope.SUBMIT,
                lambda: self._context.service.jobs.extend(self._job.id, **totals),
                "Budget extended.",
            )

    def _budget(self) -> None:
        budget = self._job.spec.budget
        limits = {"trials": True, "time": budget.seconds is not None, "GPU-hours": budget.gpu_hours is not None}
        self._bars: dict[str, tuple[Bar, Text]] = {}
        with box("budget"):
            for name, is_limited in limits.items():
                if is_limited:
                    Text("span", name, "muted")
                    self._bars[name] = (Bar(name), Text("span"))

    def show(self, view: JobView) -> None:
        summary, job = view.summary, view.summary.job
        self._state.show(job.state.value)
        self._request.set_text(f"{job.request.value.lower()} requested" if job.request else "")
        self._reason.set_text(job.reason or "")
        self._reason.classes(remove="hidden") if job.reason else self._reason.classes(add="hidden")
        for verb, button in self._buttons.items():
            button.set_visibility(JOB_ACTIONS[verb].fits(summary))
        for name, (share, words) in _used(summary).items():
            if name in self._bars:
                bar, label = self._bars[name]
                bar.show(share)
                label.set_text(words)
        for name, value in _figures(summary).items():
            self._figures[name].show(value)


def _description(job: Job) -> str:
    """Return `mbconv-small on digits by tpe and asha, 8 epochs per trial: maximize accuracy, with flops <= 3 M`."""
    spec = job.spec.model_dump(mode="json")
    space = spec["space"].get("name") or f"{len(spec['space']['parameters'])} parameters"
    rule = spec["stopping"]["name"]
    method = spec["algorithm"]["name"] + (f" and {rule}" if rule != "none" else "")
    objectives = ", ".join(f"{one.goal} {one.metric}" for one in job.spec.objectives)
    limits = ", ".join(limit_text(one) for one in job.spec.constraints)
    epochs = text.numbered(job.spec.fidelity.epochs, "epoch")
    search = f"{space} on {job.spec.dataset.name} by {method}, {epochs} per trial: {objectives}"
    return f"{search}, with {limits}" if limits else search


def _used(summary: JobSummary) -> dict[str, tuple[float, str]]:
    """Return the used share of each limit of the budget, and its text."""
    job, budget = summary.job, summary.job.spec.budget
    done = count_for_budget(summary.counts)
    used = {"trials": (done / budget.trials, f"{done} of {budget.trials}")}
    if budget.seconds is not None:
        words = f"{text.duration(job.seconds_used)} of {text.duration(budget.seconds)}"
        used["time"] = (job.seconds_used / budget.seconds, words)
    if budget.gpu_hours is not None:
        hours = job.gpu_seconds_used / 3600
        used["GPU-hours"] = (hours / budget.gpu_hours, f"{hours:.2f} of {budget.gpu_hours:g}")
    return used


def _figures(summary: JobSummary) -> dict[str, str | None]:
    job, best = summary.job, summary.best
    names = metric_names(job.spec)
    reached = costs_and_metrics(best) if best else {}
    running = summary.counts.get(TrialState.RUNNING, 0)
    return {
        "best": ", ".join(f"{one} {text.quantity(one, reached[one])}" for one in names if one in reached) or None,
        "trials": f"{running} running, {summary.counts.get(TrialState.QUEUED, 0)} waiting",
        "pace": f"{summary.trials_per_minute:.1f} trials/min" if summary.trials_per_minute else None,
        "time left": "ended"
        if job.state.is_final
        else text.duration(summary.eta_seconds)
        if summary.eta_seconds
        else None,
        "time used": text.duration(job.seconds_used),
        "cost": cost_text(summary),
    }


async def _confirm(label: str, question: str) -> bool:
    with ui.dialog() as dialog, box("card"):
        dialog.props["aria-label"] = f"{label} this job?"
        Text("h2", f"{label} this job?")
        Text("p", question)
        with box("row"):
            ui.button(f"{label} job", on_click=lambda: dialog.submit(True)).props("color=negative unelevated")
            ui.button("Go back", on_click=lambda: dialog.submit(False)).props("flat")
    dialog.on("hide", dialog.delete)  # only after it has returned the focus
    return bool(await dialog)


async def _ask_for_totals(budget: Mapping[str, float]) -> dict[str, Any] | None:
    """Ask for new totals of the budget; return None if the dialog was closed."""
    with ui.dialog() as dialog, box("card"):
        dialog.props["aria-label"] = "Extend the budget"
        Text("h2", "Extend the budget")
        Text("p", "Enter new totals, not increments. A job that has ended continues.", "muted")
        fields = {name: ui.number(name.replace("_", "-"), value=value) for name, value in budget.items()}
        with box("row"):
            ui.button("Extend", on_click=lambda: dialog.submit(True)).props("unelevated")
            ui.button("Close", on_click=lambda: dialog.submit(False)).props("flat")
    dialog.on("hide", dialog.delete)
    answer = await dialog
    totals = {name: field.value for name, field in fields.items() if field.value is not None}
    return totals if answer else None

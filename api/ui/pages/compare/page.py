"""The compare page: up to six trials side by side, with differences marked."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from nicegui import ui
from nicegui.element import Element

from api import text
from api.ui.charts import plots
from api.ui.charts import results as charts
from api.ui.charts.chart_element import ChartElement
from api.ui.charts.plots import Options
from api.ui.context import PageContext
from api.ui.frame import follow, framed
from api.ui.live.compare_view import MOST, CompareReader, CompareView
from api.ui.pages.compare import network as compare_network
from api.ui.pages.compare.differences import Line, marked, side_by_side
from api.ui.pages.compare.network import Networks
from api.ui.panel import Panel
from api.ui.parts.metrics import costs_and_metrics
from api.ui.parts.theme import INK, SERIES
from api.ui.parts.widgets import State, Text, box, card, link, table
from api.ui.session import PATH, Visitor
from searchsvc.domain import Scalar, Trial, value_key
from searchsvc.spaces.halves import RECIPE

_LOOKS = (
    (SERIES["main"], "circle"),
    (SERIES["best"], "rect"),
    (SERIES["good"], "triangle"),
    (SERIES["other"], "diamond"),
    (SERIES["limit"], "roundRect"),
    (INK, "arrow"),
)
"""Colour and symbol of the curve of each trial."""
_SUGGESTED = 3


def register() -> None:
    ui.page("/compare", response_timeout=30)(compare_page)


def compare_path(trials: Sequence[str]) -> str:
    """Return the address of the page for trials named by id or as JOB/NUMBER."""
    return f"{PATH}/compare?{urlencode({'trials': ','.join(trials)}, safe=',/')}"


async def compare_page(request: Request) -> Response | None:
    """Show `?trials=A,B,...`: ids or JOB/NUMBER; a number alone belongs to the job of the first trial."""
    named = [one.strip() for given in request.query_params.getlist("trials") for one in given.split(",")]

    async def build(context: PageContext, visitor: Visitor) -> None:  # noqa: ARG001 - the signature of every page
        reader = CompareReader(context.service, _whole([one for one in named if one]))
        view = await context.call(reader.read, None)
        best = await context.call(context.service.results.best, view.comparison.trials[0].job_id, _SUGGESTED)
        page = ComparePage(context, view, best)
        follow(context.topic(reader), page.show)

    return await framed(request, "Compare", "", build)


def _whole(named: Sequence[str]) -> tuple[str, ...]:
    job = named[0].rpartition("/")[0] if named else ""
    return tuple(dict.fromkeys(f"{job}/{one}" if one.isdecimal() and job else one for one in named))


def reference(trial: Trial) -> str:
    """Return the name of a trial in the address of this page."""
    return f"{trial.job_id}/{trial.number}"


class ComparePage:
    """Content of the compare page."""

    def __init__(self, context: PageContext, view: CompareView, best: Sequence[Trial]) -> None:
        self._shown: CompareView | None = None
        self._networks: Networks | None = None
        self._everything = False
        job = view.jobs[view.comparison.trials[0].job_id]
        link(f"← {job.name}", f"{PATH}/jobs/{job.id}", "small")
        with box("row spread"):
            Text("h1", "Compare trials")
            self._switch = Text("button", "", "plain")
        self._switch.props["type"] = "button"
        self._switch.on("click", self._switched)
        _chosen(view, best)
        with box("grid wide"):
            results = _section("Results")
            with card("Learning curves", f"{job.spec.objectives[0].metric} by epoch."):
                self._chart = ChartElement("Learning curves of the trials")
        self._panel: Panel[Networks] = Panel(
            context,
            "Architecture",
            "Stage by stage, from the input on. The share of the FLOPs is shown but not compared.",
            lambda: compare_network.read(context.service, view),
            self._draw_networks,
        )
        with box("grid wide"):
            architecture, recipe = _section("Architecture parameters"), _section("Recipe")
        self._fills: Mapping[Element, Callable[[CompareView], None]] = {
            results: _results,
            architecture: lambda view: self._parameters(view, of_recipe=False),
            recipe: lambda view: self._parameters(view, of_recipe=True),
        }

    def show(self, view: CompareView) -> None:
        if view is self._shown:
            return
        if self._shown is None:
            self._panel.changed()  # once: the network of a trial never changes
        self._shown = view
        self._chart.draw(_curves(view))
        self._fill(view)

    def _switched(self) -> None:
        self._everything = not self._everything
        if self._shown:
            self._fill(self._shown)
        if self._networks:
            self._draw_networks(self._networks)

    def _fill(self, view: CompareView) -> None:
        self._switch.set_text("Hide identical rows" if self._everything else "Show identical rows")
        for section, fill in self._fills.items():
            section.clear()
            with section:
                fill(view)

    def _draw_networks(self, networks: Networks) -> None:
        self._networks = networks
        self._panel.content.clear()
        with self._panel.content:
            compare_network.draw(networks, everything=self._everything)

    def _parameters(self, view: CompareView, *, of_recipe: bool) -> None:
        differing = set(view.comparison.differing)
        lines = [
            Line(name, name in differing, _values(view, name, values))
            for name, values in view.comparison.parameters.items()
            if (name in RECIPE) is of_recipe
        ]
        side_by_side("parameter", view.labels, lines, everything=self._everything)


def _section(title: str) -> Element:
    with card(title):
        return box("stack")


def _chosen(view: CompareView, best: Sequence[Trial]) -> None:
    """Show the compared trials with links to remove each, and links to add others."""
    trials = view.comparison.trials
    names = [reference(one) for one in trials]
    with box("card"):
        with box("row", "ul").classes("chosen"):
            for label, trial in zip(view.labels, trials, strict=True):
                with box("row chip", "li"):
                    link(label, f"{PATH}/jobs/{trial.job_id}/trials/{trial.number}")
                    State(trial.state.value)
                    others = [one for one in names if one != reference(trial)]
                    if others:
                        link("✕", compare_path(others), "muted").props["aria-label"] = f"Remove {label}"
        if len(trials) < MOST:
            with box("row small"):
                _add_form(names)
                for trial in best:
                    if reference(trial) not in names:
                        link(f"+ #{trial.number} (among the best)", compare_path([*names, reference(trial)]), "plain")


def _add_form(names: Sequence[str]) -> None:
    with box("row", "form") as form:
        form.props["method"], form.props["action"] = "get", f"{PATH}/compare"
        trials = box("", "input")
        trials.props.update({"type": "hidden", "name": "trials", "value": ",".join(names)})
        field = box("field", "input").style("width: 150px")
        field.props.update({"name": "trials", "placeholder": "number", "aria-label": "Another trial: JOB/NUMBER"})
        Text("button", "Add", "plain").props["type"] = "submit"


def _results(view: CompareView) -> None:
    trials = view.comparison.trials
    rows: list[Sequence[Any]] = [("epochs", *(str(one.step) for one in trials))]
    signs = {one.metric: one.sign for job in view.jobs.values() for one in job.spec.objectives}
    results = [
        {**costs_and_metrics(one), **{f"test {name}": value for name, value in (one.test_metrics or {}).items()}}
        for one in trials
    ]
    for name in dict.fromkeys(name for metrics in results for name in metrics if _is_shown(name, signs)):
        values = [metrics.get(name) for metrics in results]
        unit = name.removeprefix("test ")
        best = _best(values, signs.get(unit, 0.0))
        words = (_best_marked(text.quantity(unit, one), best is not None and one == best) for one in values)
        rows.append((name, *words))
    rows.append(("training", *(text.duration(one.seconds) for one in trials)))
    table(("", *view.labels), rows, numbers=view.labels)
    Text("p", "★ marks the best value of an objective.", "muted small")


def _is_shown(name: str, objectives: Container[str]) -> bool:
    """Return whether a metric has a row: metrics by class and of parts have none, unless they are objectives."""
    return "/" not in name or name.removeprefix("test ") in objectives


def _best(values: Sequence[float | None], sign: float) -> float | None:
    """Return the best value, or None if the metric is not an objective or all values are equal."""
    there = [one for one in values if one is not None]
    return max(there, key=lambda one: sign * one) if sign and len(set(there)) > 1 else None


def _best_marked(words: str, best: bool) -> str | Callable[[], Text]:
    return (lambda: Text("strong", f"★ {words}")) if best else words


def _values(view: CompareView, name: str, values: Sequence[Scalar]) -> list[Callable[[], Text]]:
    """Return the values of a parameter, marked if they differ from the first; null is a value, no value is a dash."""
    words = []
    for trial, value in zip(view.comparison.trials, values, strict=True):
        has_value = name in trial.values or name in view.jobs[trial.job_id].spec.space.fix
        words.append((text.choice(value) if has_value else text.MISSING, value_key(value) != value_key(values[0])))
    return [partial(marked, word, differs) for word, differs in words]


def _curves(view: CompareView) -> Options:
    spec = view.jobs[view.comparison.trials[0].job_id].spec
    drawn = [charts.trial_curve(one, spec) for one in view.measurements]
    series = [
        {
            **options["series"][0],
            "name": label,
            "symbol": symbol,
            "symbolSize": 6,
            "lineStyle": {"color": colour, "width": 2},
            "itemStyle": {"color": colour},
        }
        for options, label, (colour, symbol) in zip(drawn, view.labels, _LOOKS, strict=False)
    ]
    return plots.plane(drawn[0]["xAxis"], drawn[0]["yAxis"], series)

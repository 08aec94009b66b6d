"""The parameters panel of a job page: five charts of a metric that the reader selects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from api.ui.charts import parameters as charts
from api.ui.charts.candidates import MOST_DRAWN, ranked_candidates
from api.ui.charts.chart_element import ChartElement
from api.ui.charts.plots import Options
from api.ui.context import PageContext
from api.ui.live.job_view import JobView
from api.ui.panel import Panel
from api.ui.parts.fields import Choice
from api.ui.parts.metrics import metric_names
from api.ui.parts.widgets import Text, box
from searchsvc.domain import Job, Parameter
from searchsvc.errors import Conflict, SearchsvcError
from searchsvc.service.results.importance import MOST_TRIALS, Importance

_ROW_PIXELS = 24
_AXIS_PIXELS = 84
_FEWEST = 2
NOTES: Mapping[str, str] = MappingProxyType(
    {
        "Parallel": "One line per candidate. Drag along an axis to select the lines that cross it there.",
        "Importance": "How much each parameter matters for reaching the best tenth of the results (PED-ANOVA).",
        "Slice": "The metric over one parameter, for all values of the others.",
        "Contour": "The metric over two parameters, interpolated linearly between results.",
        "Rank": "The results over two parameters, coloured by rank.",
    }
)


@dataclass(frozen=True, slots=True)
class _DrawnChart:
    """A chart, its caption, and the parameters that can be selected for it."""

    options: Options
    caption: str
    names: tuple[str, ...] = ()
    x: str = ""
    y: str = ""


class ParametersPanel:
    """The panel of charts. Selections belong to a page; data is shared by all pages of the job."""

    def __init__(self, context: PageContext, job: Job) -> None:
        self._context, self._job = context, job
        self._view: JobView | None = None
        self._kind, self._metric = "Parallel", job.spec.objectives[0].metric
        self._x = self._y = ""
        self._shown: Options | None = None
        self._panel: Panel[_DrawnChart] = Panel(context, "Parameters", "", self._read, self._draw)
        with self._panel.tools:
            self._buttons = {name: self._button(name) for name in NOTES}
            self._metric_choice = Choice("Metric", self._pick("_metric"), metric_names(job.spec))
            self._x_choice = Choice("x axis", self._pick("_x"))
            self._y_choice = Choice("y axis", self._pick("_y"))
        with self._panel.content:
            self._note = Text("p", NOTES[self._kind], "muted small")
            self._holder = box("tall scroll")
        self._arrange()

    def show(self, view: JobView) -> None:
        self._view = view
        self._panel.changed()

    def _button(self, name: str) -> Text:
        button = Text("button", name, "plain")
        button.props["type"] = "button"
        button.on("click", lambda: self._turn_to(name))
        return button

    def _turn_to(self, kind: str) -> None:
        self._kind, self._shown = kind, None
        self._arrange()
        self._panel.refresh()

    def _arrange(self) -> None:
        """Show only the controls that affect the current chart."""
        for name, button in self._buttons.items():
            button.props["aria-pressed"] = "true" if name == self._kind else "false"
        self._x_choice.set_visibility(self._kind in ("Slice", "Contour", "Rank"))
        self._y_choice.set_visibility(self._kind in ("Contour", "Rank"))

    def _pick(self, attribute: str) -> Callable[[str], None]:
        def pick(name: str) -> None:
            setattr(self, attribute, name)
            self._shown = None
            self._panel.refresh()

        return pick

    def _read(self) -> _DrawnChart:
        """Compute the current chart. Called in a thread."""
        view, metric, kind = self._view, self._metric, self._kind
        assert view is not None  # panels are read only after show()
        if kind == "Importance":
            importance = self._context.service.results.importance(self._job.id, metric)
            return _DrawnChart(charts.importances(importance), _basis(importance))
        minimised = _is_minimised(view, metric)
        candidates = view.once(("tried", metric), lambda one: ranked_candidates(one, metric, minimised=minimised))
        if len(candidates) < _FEWEST:
            raise Conflict(f"this chart needs {_FEWEST} results; the job has {len(candidates)}")
        ordered = self._parameters_by_importance()
        count = len(candidates)
        some = f"the best of {count:,} results and a sample of the others" if count > MOST_DRAWN else ""
        if kind == "Parallel":
            axes = ordered[: charts.MOST_AXES]
            most = f"the {len(axes)} most important of {len(ordered)} parameters" if len(ordered) > len(axes) else ""
            return _DrawnChart(charts.parallel(candidates, axes, metric), ", ".join(filter(None, (most, some))))
        x = next((one for one in ordered if one.name == self._x), ordered[0])
        y = next((one for one in ordered if one.name == self._y), next((one for one in ordered if one is not x), x))
        if kind == "Slice":
            options = charts.slice_of(candidates, x, metric)
        elif kind == "Rank":
            options = charts.rank(candidates, x, y, metric)
        else:
            options = charts.contour(candidates, x, y, metric, minimised=minimised)
        return _DrawnChart(options, some, tuple(sorted(one.name for one in ordered)), x.name, y.name)

    def _parameters_by_importance(self) -> list[Parameter]:
        """Return the parameters of the job, the most important first if their importance is available."""
        parameters = list(self._context.service.jobs.space(self._job.id).parameters)
        try:
            shares = dict(self._context.service.results.importance(self._job.id, self._metric).shares)
        except SearchsvcError:
            return parameters
        return sorted(parameters, key=lambda one: -shares.get(one.name, 0.0))

    def _draw(self, drawn: _DrawnChart) -> None:
        caption = f"{drawn.caption[0].upper()}{drawn.caption[1:]}." if drawn.caption else ""
        self._note.set_text(f"{NOTES[self._kind]} {caption}")
        if drawn.names:
            self._x, self._y = drawn.x, drawn.y
            for choice, name in ((self._x_choice, drawn.x), (self._y_choice, drawn.y)):
                choice.offer(drawn.names)
                choice.show(name)
        if self._view is not None:
            self._metric_choice.offer(list(dict.fromkeys([*metric_names(self._view.spec), *self._view.costs])))
            self._metric_choice.show(self._metric)
        if drawn.options == self._shown:
            return
        if self._shown is None:  # another kind of chart or another metric: no option of the old chart may remain
            self._holder.clear()
            with self._holder:
                self._chart = ChartElement(f"{self._kind}. {NOTES[self._kind]}", "chart tall")
        self._shown = drawn.options
        if self._kind == "Parallel":
            self._chart.style(f"min-width: {len(drawn.options['parallelAxis']) * _AXIS_PIXELS}px")
        if self._kind == "Importance":
            self._chart.style(f"height: {len(drawn.options['yAxis']['data']) * _ROW_PIXELS + 20}px")
        self._chart.draw(drawn.options)


def _is_minimised(view: JobView, metric: str) -> bool:
    """Return whether smaller values are better: as the objective says, or True for any other metric."""
    objective = next((one for one in view.spec.objectives if one.metric == metric), None)
    return objective.sign < 0 if objective else True


def _basis(importance: Importance) -> str:
    count = importance.results
    newest = f"the newest {MOST_TRIALS:,} results" if count >= MOST_TRIALS else f"{count:,} results"
    some = f"; only some candidates have {', '.join(importance.conditional)}"
    return f"computed from {newest}{some if importance.conditional else ''}"

"""The charts of a job page. Each shows what it can, and is not there where the job has nothing of its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from api import text
from api.ui.charts import results as charts
from api.ui.charts.chart_element import Drawing, packed
from api.ui.charts.plots import Options
from api.ui.context import PageContext
from api.ui.live.job_view import MOST_POINTS, MOST_TRIALS, JobView
from api.ui.pages.job.curves import Curves
from api.ui.parts.metrics import funnel, metric_names
from api.ui.parts.widgets import Bar, Text, box, card
from searchsvc.domain import Job


class Part(Protocol):
    """Something that shows a job."""

    def show(self, view: JobView) -> None: ...


def make(context: PageContext, job: Job) -> list[Part]:
    """The charts that a job page begins with, laid out where this is called."""
    metric = job.spec.objectives[0].metric
    return [
        Front(job),
        Chart(
            "Best so far",
            f"Every result, and the best {metric} so far within the limits.",
            charts.best_so_far,
            said=_reached,
        ),
        Curves(context, job),
        Funnel(),
        Chart(
            "Predictor quality",
            "Rank correlation of predictions with later measurements, by round; the bars are 90 % intervals.",
            lambda view: charts.quality(view.rounds),
            said=_stops_at,
        ),
        Chart(
            "Predicted and measured",
            f"Each {metric} that was predicted before it was measured. On the line, both are equal.",
            lambda view: charts.predictions(view.rounds, metric),
        ),
        Chart(
            "Option probabilities",
            "The current probability of each option of each parameter; a stronger colour is more likely.",
            lambda view: charts.distributions(view.distributions) if view.distributions else None,
            said=_supernet,
        ),
    ]


@dataclass(frozen=True, slots=True)
class Sketch:
    """A chart as it is sent to pages."""

    options: bytes
    rows: int
    """Of a chart that has a row for each thing, so that it is as high as they are many; 0 for others."""


class Chart:
    """A chart in a card; hidden as long as there is nothing to draw."""

    def __init__(
        self,
        title: str,
        note: str,
        draw: Callable[[JobView], Options | None],
        said: Callable[[JobView], str] = lambda _: "",
    ) -> None:
        self._draw, self._words = draw, said
        self.variant = title
        """What is drawn: pages at which it is the same share it."""
        self._shown: bytes | None = None
        self._drawing: int | None = None
        with card(title, note) as self.card:
            self._said = Text("p", "", "small")
            self._chart = Drawing(f"{title}. {note}")
            self._chart.props["aria-describedby"] = self._said.html_id
        self.card.set_visibility(False)

    def show(self, view: JobView) -> None:
        if view.drawing != self._drawing:
            self.show_now(view)

    def show_now(self, view: JobView) -> None:
        """The reader has chosen something else."""
        self._drawing = view.drawing
        sketch = view.once(("chart", self.variant), lambda one: _sketch(self._draw(one)))
        self.card.set_visibility(sketch is not None)
        self._said.say(self._words(view))
        if sketch is not None and sketch.options != self._shown:
            self._shown = sketch.options
            if sketch.rows:
                self._chart.style(f"height: {sketch.rows * 22 + 60}px")
            self._chart.draw_packed(sketch.options)


def _sketch(options: Options | None) -> Sketch | None:
    if options is None:
        return None
    axis = options.get("yAxis", {})
    return Sketch(packed(options), len(axis["data"]) if axis.get("type") == "category" else 0)


class Front:
    """The first objective against a cost that the reader picks."""

    def __init__(self, job: Job) -> None:
        spec = job.spec
        self._metric = spec.objectives[0].metric
        self._costs = [one for one in metric_names(spec) if one != self._metric]
        self._cost = self._costs[0] if self._costs else "seconds"
        self._view: JobView | None = None
        self._chart = Chart(
            "Pareto front",
            f"{self._metric} against a cost; the dashed line is the limit.",
            self._options,
            self._words,
        )
        with self._chart.card:
            self._choice = box("row small")

    def show(self, view: JobView) -> None:
        self._view = view
        self._costs += [one for one in view.costs if one not in self._costs]
        if self._cost not in self._costs and self._costs:
            self._cost = self._costs[0]
        self._offer()
        self._chart.variant = f"front: {self._cost}"
        self._chart.show(view)

    def _offer(self) -> None:
        if len(self._choice.default_slot.children) == len(self._costs):
            return
        self._choice.clear()
        with self._choice:
            for cost in self._costs:
                button = Text("button", cost, "plain")
                button.props["type"] = "button"
                button.props["aria-pressed"] = "true" if cost == self._cost else "false"
                button.on("click", lambda _, cost=cost: self._pick(cost))

    def _pick(self, cost: str) -> None:
        self._cost = cost
        self._choice.clear()
        if self._view:
            self._offer()
            self._chart.variant = f"front: {self._cost}"
            self._chart.show_now(self._view)

    def _options(self, view: JobView) -> Options | None:
        return charts.front(view, self._cost) if self._cost in view.results.metrics else None

    def _words(self, view: JobView) -> str:
        if not view.summary.best:
            return "No result within the limits yet"
        on_front = f"{text.numbered(view.summary.pareto_size, 'trial')} on the front"
        return ". ".join(filter(None, (on_front, _sampled(view))))


def _reached(view: JobView) -> str:
    best, metric = view.summary.best, view.spec.objectives[0].metric
    if best is None or not best.metrics:
        return ""
    reached = f"Best: {metric} {text.quantity(metric, best.metrics[metric])} (trial {best.number})"
    return ". ".join(filter(None, (reached, _sampled(view))))


def _sampled(view: JobView) -> str:
    most, count = MOST_POINTS, len(view.results)
    return f"A sample of the {count:,} results is drawn, at most {most:,} per series." if count > most else ""


def _stops_at(view: JobView) -> str:
    epochs = [(one.number, one.data.get("early_stop_epoch")) for one in view.rounds]
    told = [(number, epoch) for number, epoch in epochs if epoch is not None]
    if not told:
        return ""
    number, epoch = told[-1]
    return f"Trials stop after epoch {epoch} of {view.spec.fidelity.epochs}, as set in round {number}."


def _supernet(view: JobView) -> str:
    found = view.distributions
    if found is None:
        return ""
    metrics = ", ".join(f"{name} {text.quantity(name, value)}" for name, value in found.metrics.items())
    return f"Step {found.step} of {found.steps}: {metrics}"


class Funnel:
    """How many candidates came how far, and what was saved by not going on."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[Bar, Text]] = {}
        with card("Funnel", "The number of candidates that reached each stage."):
            self._grid = box("funnel")
            self._saved = Text("p", "", "small")
            self._reasons = Text("p", "", "muted small wrap")

    def show(self, view: JobView) -> None:
        stages = funnel(view.summary)
        most = max(1, stages[0].count)
        for stage in stages:
            if stage.name not in self._lines:
                with self._grid:
                    Text("span", stage.name)
                    self._lines[stage.name] = (Bar(stage.name), Text("span", "", "number"))
            bar, label = self._lines[stage.name]
            bar.show(stage.count / most)
            label.say(f"{stage.count:,}")
        self._saved.say(_saved(view))
        rejected = view.summary.rejected
        self._reasons.say(
            "Rejected: " + ", ".join(f"{n:,} by {why}" for why, n in rejected.items()) if rejected else ""
        )


def _saved(view: JobView) -> str:
    spared, full = view.epochs_saved
    if not spared:
        return ""
    which = "" if view.total <= len(view.trials) else f" of the newest {min(MOST_TRIALS, len(view.trials)):,} trials"
    return f"Early stopping has saved {spared:,} of {full:,} epochs{which} ({spared / full:.0%})."

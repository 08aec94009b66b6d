"""The charts of a job page, in the order in which they are laid out."""

from __future__ import annotations

from typing import Protocol

from api import text
from api.ui.charts import results as charts
from api.ui.charts import rounds, supernet
from api.ui.context import PageContext
from api.ui.live.job_view import JobView
from api.ui.pages.job.chart import Chart, sampling_note
from api.ui.pages.job.curves import CurvesPanel
from api.ui.pages.job.front import FrontPanel
from api.ui.pages.job.funnel import FunnelPanel
from searchsvc.domain import Job


class JobPanel(Protocol):
    """A part of the job page that shows views of the job."""

    def show(self, view: JobView) -> None: ...


def job_charts(context: PageContext, job: Job) -> list[JobPanel]:
    """Create the charts at the top of a job page, laid out at the place of the call."""
    metric = job.spec.objectives[0].metric
    return [
        FrontPanel(job),
        Chart(
            "Best so far",
            f"Every result, and the best {metric} so far within the limits.",
            charts.best_so_far,
            caption=_reached,
        ),
        CurvesPanel(context, job),
        FunnelPanel(),
        Chart(
            "Predictor quality",
            "Rank correlation of predictions with later measurements, by round; the bars are 90 % intervals.",
            lambda view: rounds.quality(view.rounds),
            caption=_stops_at,
        ),
        Chart(
            "Predicted and measured",
            f"Each {metric} that was predicted before it was measured. On the line, both are equal.",
            lambda view: rounds.predictions(view.rounds, metric),
        ),
        Chart(
            "Option probabilities",
            "The current probability of each option of each parameter; a stronger colour is more likely.",
            lambda view: supernet.distributions(view.distributions) if view.distributions else None,
            caption=_supernet,
        ),
    ]


def _reached(view: JobView) -> str:
    best, metric = view.summary.best, view.spec.objectives[0].metric
    if best is None or not best.metrics:
        return ""
    reached = f"Best: {metric} {text.quantity(metric, best.metrics[metric])} (trial {best.number})"
    return ". ".join(filter(None, (reached, sampling_note(view))))


def _stops_at(view: JobView) -> str:
    epochs = [(one.number, one.data.get("early_stop_epoch")) for one in view.rounds]
    stops = [(number, epoch) for number, epoch in epochs if epoch is not None]
    if not stops:
        return ""
    number, epoch = stops[-1]
    return f"Trials stop after epoch {epoch} of {view.spec.fidelity.epochs}, as set in round {number}."


def _supernet(view: JobView) -> str:
    distributions = view.distributions
    if distributions is None:
        return ""
    metrics = ", ".join(f"{name} {text.quantity(name, value)}" for name, value in distributions.metrics.items())
    return f"Step {distributions.step} of {distributions.steps}: {metrics}"

"""The funnel of a job page: how many candidates reached each stage."""

from __future__ import annotations

from api.ui.live.job_view import MOST_TRIALS, JobView
from api.ui.parts.funnel import funnel
from api.ui.parts.widgets import Bar, Text, box, card


class FunnelPanel:
    """A bar per stage with its number of candidates, and the epochs that early stopping has saved."""

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
            label.set_text(f"{stage.count:,}")
        self._saved.set_text(_saved(view))
        rejected = view.summary.rejected
        self._reasons.set_text(
            "Rejected: " + ", ".join(f"{n:,} by {why}" for why, n in rejected.items()) if rejected else ""
        )


def _saved(view: JobView) -> str:
    spared, full = view.epochs_saved
    if not spared:
        return ""
    which = "" if view.total <= len(view.trials) else f" of the newest {min(MOST_TRIALS, len(view.trials)):,} trials"
    return f"Early stopping has saved {spared:,} of {full:,} epochs{which} ({spared / full:.0%})."

"""The trials table of a job page."""

from __future__ import annotations

import json

from api import text
from api.ui.live.compare_view import MOST
from api.ui.live.job_view import MOST_TRIALS, JobView
from api.ui.pages.job.export_menu import NOTIFY, notify_failure
from api.ui.parts.widgets import Text, box, card
from api.ui.session import PATH
from api.ui.tables.grids import Grid
from api.ui.tables.trial_columns import trial_columns
from searchsvc.domain import Job


class TrialsPanel:
    """A row per trial; a click opens the trial."""

    def __init__(self, job: Job) -> None:
        with card("Trials"):
            with box("row spread"):
                self._status = Text("p", "", "muted small status-line")
                with box("tools"):
                    search = box("field", "input").style("max-width: 220px")
                    search.props.update({"type": "search", "placeholder": "Filter", "aria-label": "Filter the trials"})
                    compare = Text("button", "Compare", "plain compare-button")
                    compare.props["type"], compare.props["title"] = "button", f"Select 2 to {MOST} trials first"
                    compare.props["disabled"] = True
                    save = Text("button", "CSV", "plain")
                    save.props["type"], save.props["title"] = "button", "Download all trials that match the filters"
            opens = f"{PATH}/jobs/{job.id}/trials/"
            columns = trial_columns(job.spec)
            self._grid = Grid("Trials", columns, "trials-grid", topic=job.id, opens=opens, selects=True)
        search.on(
            "input", lambda event: self._grid.filter(event.args), js_handler="e => emit(e.target.value)", throttle=0.2
        )
        compare.on("click", js_handler=f"() => compareSelected({self._grid.element.id}, {json.dumps(job.id)})")
        path = f"{PATH}/exports/{job.id}/matching"
        fetch = f"e => downloadMatching(e.currentTarget, {self._grid.element.id}, {json.dumps(path)}).then({NOTIFY})"
        save.on("click", notify_failure, js_handler=fetch)

    def show(self, view: JobView) -> None:
        self._status.set_text(_status_text(view))
        self._grid.show(view.rows)


def _status_text(view: JobView) -> str:
    """Return a text that says which trials the table has."""
    shown = len(view.trials)
    if not view.is_whole:
        return f"newest {shown:,} of {view.total:,} trials; loading the others …"
    if view.total > shown:
        return f"newest {MOST_TRIALS:,} and best of {view.total:,} trials; the CSV has all that match the filters"
    return text.numbered(shown, "trial")

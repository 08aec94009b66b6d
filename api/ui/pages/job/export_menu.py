"""The export menu in the head of a job page, and the link to clone the job."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from nicegui import ui
from nicegui.events import GenericEventArguments

from api.ui.parts.widgets import Text, box, link
from api.ui.session import PATH
from searchsvc.domain import Job
from searchsvc.service.exports.export import Format

NOTIFY = "message => message && emit(message)"
"""JavaScript that passes an error message to `notify_failure`."""
_FETCH = f"e => {{ e.preventDefault(); downloadFile(e.currentTarget).then({NOTIFY}); }}"


def clone_link(job: Job) -> None:
    """Add a link that opens the editor with the spec of this job."""
    anchor = link("Clone", f"{PATH}/jobs/new?from={job.id}", "plain")
    anchor.props["title"] = "Create a new job from the spec of this job"


def export_menu(job: Job, formats: Mapping[str, Format]) -> None:
    """Add a menu with an entry per format; an export that is not possible yet shows the reason."""
    with box("menu", "details"):
        Text("summary", "Export", "plain")
        with box("menu-items"):
            for name, export_format in formats.items():
                anchor = link("", f"{PATH}/exports/{job.id}?format={quote(name)}")
                with anchor:
                    Text("span", f"{name} ({export_format.suffix})")
                    Text("span", export_format.description, "muted small")
                anchor.on("click", notify_failure, js_handler=_FETCH)


def notify_failure(event: GenericEventArguments) -> None:
    """Notify the reader why there is no file."""
    ui.notify(event.args, type="negative")

"""What can be taken away from a job, as a menu in its head; and a new job that begins with its spec."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from nicegui import ui
from nicegui.events import GenericEventArguments

from api.ui.parts.widgets import Text, box, link
from api.ui.session import PATH
from searchsvc.domain import Job
from searchsvc.service.exports.export import Format

TELL = "said => said && emit(said)"
"""In the browser: what is wrong goes to `complain`."""
_FETCH = f"e => {{ e.preventDefault(); downloadFile(e.currentTarget).then({TELL}); }}"


def clone_link(job: Job) -> None:
    """Opens the editor with the spec of this job."""
    made = link("Clone", f"{PATH}/jobs/new?from={job.id}", "plain")
    made.props["title"] = "Create a new job from the spec of this job"


def export_menu(job: Job, formats: Mapping[str, Format]) -> None:
    """One file per format; what cannot be made yet says why."""
    with box("menu", "details"):
        Text("summary", "Export", "plain")
        with box("menu-items"):
            for name, one in formats.items():
                made = link("", f"{PATH}/exports/{job.id}?format={quote(name)}")
                with made:
                    Text("span", f"{name} ({one.suffix})")
                    Text("span", one.description, "muted small")
                made.on("click", complain, js_handler=_FETCH)


def complain(event: GenericEventArguments) -> None:
    """Why there is no file."""
    ui.notify(event.args, type="negative")

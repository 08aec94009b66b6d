"""The pages. A page calls the service through its context and lays out the views that it receives."""

from __future__ import annotations

from api.ui.pages import cluster, jobs, relabel
from api.ui.pages.compare import page as compare
from api.ui.pages.job import page as job
from api.ui.pages.new_job import page as new_job
from api.ui.pages.spaces import page as spaces
from api.ui.pages.trial import page as trial


def register() -> None:
    """Register every page with NiceGUI; the sign-in page is none of NiceGUI's."""
    for page in (jobs, new_job, job, trial, relabel, spaces, compare, cluster):
        page.register()

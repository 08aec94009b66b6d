"""The pages, one file each. A page asks the desk and lays out what it hears; it knows no rules and no tables."""

from __future__ import annotations

from api.ui.pages import cluster, compare, job, jobs, new_job, relabel, sign_in, spaces, trial


def register() -> None:
    """Give NiceGUI every page."""
    for one in (sign_in, jobs, new_job, job, trial, relabel, spaces, compare, cluster):
        one.register()

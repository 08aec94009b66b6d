"""The funnel of a job."""

from __future__ import annotations

from api.ui.live.job_view import JobReader
from api.ui.parts.funnel import epochs_saved, funnel
from searchsvc.service.service import Service
from tests.support.pages import EPOCHS, Running


def test_the_funnel_adds_up(service: Service, search: Running) -> None:
    view = JobReader(service, search.id).read(None)
    stages = {one.name: one.count for one in funnel(view.summary)}
    assert stages["proposed"] == 14 + sum(number % 3 for number in range(14))
    assert (stages["started"], stages["stopped early"], stages["failed"], stages["trained in full"]) == (13, 2, 1, 9)
    assert epochs_saved(view.trials.values(), view.spec) == (2 * (EPOCHS - 2), 11 * EPOCHS)

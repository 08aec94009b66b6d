"""The timeline chart."""

from __future__ import annotations

from api.ui.charts import timeline as charts_timeline
from searchsvc.service.service import Service
from tests.support.pages import Running


def test_the_timeline_has_a_row_per_worker_and_runs_to_now(service: Service, search: Running) -> None:
    attempts = service.trials.attempts_of_job(search.id)
    now = attempts[-1][1].started_at + 60
    options = charts_timeline.timeline(attempts, now)
    assert len(options["yAxis"]["data"]) == 13
    running = next(one for one in options["series"] if one["name"] == "running")
    assert [point[2:4] for point in running["data"]] == [[round(now * 1000), 12]]
    failed = next(one for one in options["series"] if one["name"] == "failed")
    assert failed["data"][0][5] == "DIVERGED"

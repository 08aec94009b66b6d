"""Charts of a supernet."""

from __future__ import annotations

import pytest

from api.ui.charts import supernet
from api.ui.live.job_view import JobReader
from searchsvc.service.service import Service
from tests.support.supernets import STEPS, a_job_with_a_supernet


def test_distributions_have_a_cell_for_every_option(service: Service) -> None:
    job = a_job_with_a_supernet(service.store)
    view = JobReader(service, job.id).read(None)
    assert view.distributions is not None
    cells = supernet.distributions(view.distributions)["series"][0]["data"]
    assert sorted({one["value"][1] for one in cells}) == [0, 1, 2]
    assert len(cells) == 3 + 2 + 3


def test_what_a_supernet_learned_has_a_column_per_step(service: Service) -> None:
    learning = service.results.learning(a_job_with_a_supernet(service.store).id)
    sure = supernet.certainty(learning)
    assert len(sure["series"][0]["data"]) == STEPS * len(learning.parameters)
    options = supernet.options_over_time(learning, "optimizer")
    assert options["yAxis"]["data"] == ["sgd", "adamw"]
    by_step = [sum(cell[2] for cell in options["series"][0]["data"] if cell[0] == step) for step in range(STEPS)]
    assert by_step == pytest.approx([1.0] * STEPS, abs=1e-3)
    assert len(supernet.over_steps(learning, "entropy")["series"][0]["data"]) == STEPS

"""The store of learning curves."""

from __future__ import annotations

import pytest

from api.ui.live.curves import CurveStore
from api.ui.live.job_view import JobReader
from searchsvc.service.service import Service
from tests.support.pages import EPOCHS, Running


def test_curves_are_read_again_only_where_a_trial_went_on(
    service: Service, search: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    reads = service.trials.measurements_of

    def counted(trial_ids: list[str]) -> object:
        counts.append(len(trial_ids))
        return reads(trial_ids)

    monkeypatch.setattr(service.trials, "measurements_of", counted)
    reader = JobReader(service, search.id)
    first = reader.read(None).curves
    assert len(first[0]) == EPOCHS
    reader.read([])
    search.measure(12, 4, 0.93)
    search.flush()
    assert reader.read(None).curves[12][-1] == (4, 0.93)
    assert counts == [len(first), 1]


def test_of_many_curves_the_best_and_the_newest_are_kept(service: Service, search: Running) -> None:
    trials = JobReader(service, search.id).read(None).trials
    assert set(CurveStore(service, 4).read(trials, (3, 0), "accuracy")) == {0, 3, 11, 12}

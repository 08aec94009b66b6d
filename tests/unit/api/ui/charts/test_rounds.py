"""Charts of the rounds of an algorithm."""

from __future__ import annotations

from api.ui.charts import rounds
from searchsvc.service.service import Service
from tests.support.pages import Running, record_rounds


def test_quality_is_drawn_where_something_was_predicted(service: Service, search: Running) -> None:
    assert rounds.quality(service.results.rounds(search.id)) is None
    record_rounds(search, 3)
    drawn = rounds.quality(service.results.rounds(search.id))
    assert drawn is not None
    assert [point[0] for point in drawn["series"][0]["data"]] == [1, 2]


def test_what_was_predicted_is_drawn_against_what_was_measured(service: Service, search: Running) -> None:
    assert rounds.predictions(service.results.rounds(search.id), "accuracy") is None
    record_rounds(search, 3)
    drawn = rounds.predictions(service.results.rounds(search.id), "accuracy")
    assert drawn is not None
    earlier, latest, equal = (one["data"] for one in drawn["series"])
    assert (len(earlier), len(latest)) == (8, 8)
    assert latest[0] == [0.8, 0.79]
    assert equal == [[0.79, 0.79], [0.874, 0.874]]

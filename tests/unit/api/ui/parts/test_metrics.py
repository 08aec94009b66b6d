"""Costs of jobs in words."""

from __future__ import annotations

from api.ui.parts.metrics import cost_text
from searchsvc.service.service import Service
from tests.support.pages import Running


def test_what_little_costs_is_said_in_minutes(service: Service, search: Running) -> None:
    assert cost_text(service.results.summary(search.id)) == "2 CPU-min"

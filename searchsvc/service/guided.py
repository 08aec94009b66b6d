"""The search that a predictor guides."""

from __future__ import annotations

from collections.abc import Sequence

from searchsvc.service.recommend import Found, Inquiry


def search(inquiry: Inquiry) -> Sequence[Found]:
    raise NotImplementedError

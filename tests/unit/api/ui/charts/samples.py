"""Parameters and candidates for charts."""

from __future__ import annotations

from api.ui.charts.candidates import RankedCandidate
from searchsvc.domain import Categorical, Float, Integer

LR, KIND, COUNT = Float("lr", 0.001, 1.0, log=True), Categorical("kind", ("a", "b", "c")), Integer("count", 1, 5)


def candidates_of(count: int) -> list[RankedCandidate]:
    """Return candidates with falling ranks, of which the last is the best."""
    return [
        RankedCandidate(n, {"lr": 10 ** (-3 * n / count), "kind": "abc"[n % 3]}, float(n), 1 - n / count)
        for n in range(count)
    ]

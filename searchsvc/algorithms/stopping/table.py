"""The table of stopping rules: a description, options and a factory by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from searchsvc.algorithms.options import MethodOptions, unknown_name, validated
from searchsvc.algorithms.stopping.asha import Asha, AshaOptions
from searchsvc.algorithms.stopping.median import MedianOptions, MedianRule
from searchsvc.algorithms.stopping.never_stop import NeverStop, NeverStopOptions
from searchsvc.algorithms.stopping.rank_correlation import RankCorrelation, RankCorrelationOptions
from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain.metrics import Objective
from searchsvc.domain.spec import Fidelity


@dataclass(frozen=True, slots=True)
class StoppingRuleEntry:
    """A stopping rule that a spec may name."""

    name: str
    description: str
    factory: Callable[[Sequence[Objective], Fidelity, Any], StoppingRule]
    """Creates the rule from objectives, the fidelity of a whole trial and an instance of `options`."""
    options: type[MethodOptions]


_ENTRIES = (
    StoppingRuleEntry("none", "Every trial trains to its fidelity.", NeverStop, NeverStopOptions),
    StoppingRuleEntry("asha", "Asynchronous successive halving: the best of each rung continue.", Asha, AshaOptions),
    StoppingRuleEntry("median", "Ends trials that are worse than the median of the others.", MedianRule, MedianOptions),
    StoppingRuleEntry(
        "rank-correlation",
        "Ends trials at the epoch from which on the first trials ranked as at their end (FBNetV3).",
        RankCorrelation,
        RankCorrelationOptions,
    ),
)

STOPPING_RULES: Mapping[str, StoppingRuleEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def create_stopping_rule(
    name: str, *, objectives: Sequence[Objective], fidelity: Fidelity, **options: Any
) -> StoppingRule:
    """Create the stopping rule `name`. Raises InvalidInput with pointers `/name`, `/<option>`."""
    if name not in STOPPING_RULES:
        raise unknown_name("stopping rule", name, STOPPING_RULES)
    entry = STOPPING_RULES[name]
    return entry.factory(objectives, fidelity, validated(entry.options, options, name))

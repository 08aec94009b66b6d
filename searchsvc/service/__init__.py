"""Use cases: what can be done with jobs, and the controller that runs them.

Names are imported when they are first used: a worker that only looks up a task loads no database library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from searchsvc.service.architecture import Architecture
    from searchsvc.service.columns import Results
    from searchsvc.service.controller import Controller
    from searchsvc.service.distributions import Distributions, Learning
    from searchsvc.service.doctor import Check, Health
    from searchsvc.service.documents import load_document
    from searchsvc.service.gains import GainReport
    from searchsvc.service.importance import Importance
    from searchsvc.service.pages import Page
    from searchsvc.service.planning import Blueprint, Plan, make_proposer, make_stopping_rule, resolve
    from searchsvc.service.recommend import Recommendations
    from searchsvc.service.results import Comparison, JobSummary, Standing
    from searchsvc.service.service import LogPart, Service
    from searchsvc.service.tokens import Scope
    from searchsvc.service.transfer import TransferReport

_HOMES = {
    "Architecture": "architecture",
    "Blueprint": "planning",
    "Check": "doctor",
    "Comparison": "results",
    "Controller": "controller",
    "Distributions": "distributions",
    "GainReport": "gains",
    "Health": "doctor",
    "Importance": "importance",
    "JobSummary": "results",
    "Learning": "distributions",
    "LogPart": "service",
    "Page": "pages",
    "Plan": "planning",
    "Recommendations": "recommend",
    "Results": "columns",
    "Scope": "tokens",
    "Service": "service",
    "Standing": "results",
    "TransferReport": "transfer",
    "load_document": "documents",
    "make_proposer": "planning",
    "make_stopping_rule": "planning",
    "resolve": "planning",
}

__all__ = [
    "Architecture",
    "Blueprint",
    "Check",
    "Comparison",
    "Controller",
    "Distributions",
    "GainReport",
    "Health",
    "Importance",
    "JobSummary",
    "Learning",
    "LogPart",
    "Page",
    "Plan",
    "Recommendations",
    "Results",
    "Scope",
    "Service",
    "Standing",
    "TransferReport",
    "load_document",
    "make_proposer",
    "make_stopping_rule",
    "resolve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

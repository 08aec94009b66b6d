"""Algorithms that propose candidates, and rules that end hopeless trials early: ask and tell, without a service.

::

    algorithm = create("tpe", space=space, objectives=[Objective(metric="accuracy")], seed=0)
    for _ in range(50):
        [candidate] = algorithm.ask(1)
        algorithm.tell([Observation(candidate, {"accuracy": train(**candidate.values)})])
"""

from searchsvc.algorithms.base import Algorithm, Problem
from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.algorithms.stopping.table import STOPPING_RULES, StoppingRuleEntry, create_stopping_rule
from searchsvc.algorithms.table import ALGORITHMS, AlgorithmEntry, create, validate_options

__all__ = [
    "ALGORITHMS",
    "STOPPING_RULES",
    "Algorithm",
    "AlgorithmEntry",
    "Problem",
    "StoppingRule",
    "StoppingRuleEntry",
    "create",
    "create_stopping_rule",
    "validate_options",
]

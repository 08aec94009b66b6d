"""The network families of detectors, which differ in their defaults only."""

from __future__ import annotations

from searchsvc.spaces.detector.costs import cost_model
from searchsvc.spaces.detector.space import FAMILIES, LIMITS, identity
from searchsvc.spaces.detector.stages import stages
from searchsvc.spaces.network_family import NetworkFamily

NETWORKS = tuple(
    NetworkFamily(
        family.name,
        "detection",
        family.defaults,
        LIMITS,
        cost_model=cost_model,
        stages=stages,
        identity=identity,
    )
    for family in FAMILIES.values()
)

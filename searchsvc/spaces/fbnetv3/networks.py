"""Network families of FBNetV3: the full family and the small family."""

from __future__ import annotations

from searchsvc.spaces.fbnetv3.costs import cost_model, latency_model, operators_of
from searchsvc.spaces.fbnetv3.identity import identity
from searchsvc.spaces.fbnetv3.space import FAMILIES, LIMITS, FbnetV3Family
from searchsvc.spaces.fbnetv3.stages import stages_of
from searchsvc.spaces.network_family import NetworkFamily, OperatorTiming


def _network(family: FbnetV3Family) -> NetworkFamily:
    return NetworkFamily(
        family.name,
        "classification",
        family.defaults,
        LIMITS,
        cost_model=cost_model(family),
        stages=stages_of(family),
        identity=identity,
        timing=OperatorTiming(operators_of(family), latency_model(family)),
    )


NETWORKS = tuple(_network(family) for family in FAMILIES.values())

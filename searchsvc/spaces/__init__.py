"""Search spaces: the parameter algebra, cost models, and the spaces that ship."""

from searchsvc.domain.parameters import Basis, Categorical, Float, Integer, Parameter
from searchsvc.spaces.bases import on_grid, with_bases
from searchsvc.spaces.catalogue import SPACES, ShippedSpace, find
from searchsvc.spaces.costs.model import NO_COSTS, CostModel
from searchsvc.spaces.networks import NETWORKS, cost_model_for, identity_for
from searchsvc.spaces.space import Identity, Matrix, Space

__all__ = [
    "NETWORKS",
    "NO_COSTS",
    "SPACES",
    "Basis",
    "Categorical",
    "CostModel",
    "Float",
    "Identity",
    "Integer",
    "Matrix",
    "Parameter",
    "ShippedSpace",
    "Space",
    "cost_model_for",
    "find",
    "identity_for",
    "on_grid",
    "with_bases",
]

"""Search spaces: the parameter algebra, cost models, and the spaces that ship."""

from searchsvc.domain.parameters import Categorical, Float, Integer, Parameter
from searchsvc.spaces.catalogue import SPACES, ShippedSpace, find
from searchsvc.spaces.networks import NETWORKS, cost_model_for
from searchsvc.spaces.space import CostModel, Matrix, Space

__all__ = [
    "NETWORKS",
    "SPACES",
    "Categorical",
    "CostModel",
    "Float",
    "Integer",
    "Matrix",
    "Parameter",
    "ShippedSpace",
    "Space",
    "cost_model_for",
    "find",
]

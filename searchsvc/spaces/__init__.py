"""Search spaces: the parameter algebra, cost models, and the spaces that ship."""

from searchsvc.domain.parameters import Categorical, Float, Integer, Parameter
from searchsvc.spaces.catalogue import SPACES, ShippedSpace, cost_model_for, find
from searchsvc.spaces.space import CostModel, Matrix, Space

__all__ = [
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

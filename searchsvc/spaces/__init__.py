"""Search spaces: the parameter algebra, cost models, and the spaces that ship."""

from searchsvc.domain.parameters import Categorical, Float, Integer, Parameter
from searchsvc.spaces.space import CostModel, Matrix, Space

__all__ = ["Categorical", "CostModel", "Float", "Integer", "Matrix", "Parameter", "Space"]

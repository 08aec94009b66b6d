"""NetworkFamily: all properties of a family of networks, as a constant per family.

The constants stand next to the spaces (`mbconv`, `resnet`, `fbnetv3.networks`, `detector.networks`);
`searchsvc.spaces.networks` lists them. `workers.models.build` makes the networks themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias

from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.spaces import recipe
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.costs.latency import LatencyTable
from searchsvc.spaces.costs.model import CostModel
from searchsvc.spaces.costs.operators import Operator
from searchsvc.spaces.costs.stages import Stage
from searchsvc.spaces.limits import Limits
from searchsvc.spaces.space import Identity, Space

Values: TypeAlias = Mapping[str, Any]
"""Complete values of a network, none of which is null."""

NETWORK = "network"
"""The parameter that names the family of a network."""


@dataclass(frozen=True, slots=True)
class OperatorTiming:
    """The operators of a network family. `Values` are values of the parameters outside the space."""

    operators: Callable[[Space, DatasetInfo, Values], list[Operator]]
    """Lists all operators that occur in a space."""
    cost_model: Callable[[Space, DatasetInfo, Values, LatencyTable], CostModel]
    """Returns the latency of candidates: the sum of their operators' times in a table."""


@dataclass(frozen=True, slots=True)
class NetworkFamily:
    """Networks with the same parameters. `Values` are values of the parameters outside a space."""

    name: str
    task: str
    defaults: Values
    """Defaults of the architecture parameters."""
    limits: Limits
    """The widest range of each architecture parameter that can be built."""
    _: KW_ONLY
    cost_model: Callable[[Space, DatasetInfo, Values], CostModel]
    stages: Callable[[CompleteValues, DatasetInfo], list[Stage]]
    """Lists the stages of a network."""
    identity: Callable[[Space, Values], Identity] | None = None
    """Distinguishes different networks; None if different values are always different networks."""
    timing: OperatorTiming | None = None
    """None if latency is not known before training."""

    @property
    def parameters(self) -> Values:
        """All parameters of the networks and their training, with defaults."""
        return {NETWORK: self.name, **self.defaults, **recipe.TABLES[self.task].defaults}

    @property
    def all_limits(self) -> tuple[Limits, Limits]:
        """The limits of the recipe of the family's task, and the limits of its architecture."""
        return recipe.TABLES[self.task].limits, self.limits

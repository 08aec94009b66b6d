"""Third stage of resolving a spec: the cost model, which computes costs before training."""

from __future__ import annotations

from dataclasses import dataclass, replace

from searchsvc.domain import DatasetInfo, JobSpec
from searchsvc.domain.spec import NamedSpace
from searchsvc.errors import FaultCollector
from searchsvc.service.lookup import latency_tables
from searchsvc.service.planning.data import ResolvedData
from searchsvc.service.planning.names import ResolvedNames
from searchsvc.settings import Settings
from searchsvc.spaces import NO_COSTS, CostModel, cost_model_for, networks
from searchsvc.spaces.costs.latency import LATENCY
from searchsvc.spaces.resolution import RESOLUTION, shape_at


@dataclass(frozen=True, slots=True)
class ResolvedCosts:
    """The cost model of a space on a dataset."""

    names: ResolvedNames
    data: ResolvedData
    spec: JobSpec
    """The spec with the digest of its latency table."""
    model: CostModel


def resolve_costs(
    spec: JobSpec, names: ResolvedNames, data: ResolvedData, settings: Settings, faults: FaultCollector
) -> ResolvedCosts:
    """Build the cost model. If a part of it has a fault, build it without that part."""
    model = NO_COSTS
    with faults.at("/space/parameters"):
        model = cost_model_for(spec.task, names.space, data.dataset, names.constants)
    with faults.at("/space/latency"):
        spec, model = _with_latencies(spec, model, names, data.dataset, settings)
    return ResolvedCosts(names, data, spec, model)


def promised(spec: JobSpec) -> tuple[str, ...]:
    """Return the costs that a spec may name even if its latency table has a fault, which is reported separately."""
    return (LATENCY,) if isinstance(spec.space, NamedSpace) and spec.space.latency else ()


def _with_latencies(
    spec: JobSpec, model: CostModel, names: ResolvedNames, dataset: DatasetInfo, settings: Settings
) -> tuple[JobSpec, CostModel]:
    """Add the digest of the latency table to the spec, and latencies to the cost model, if the spec names a table."""
    section = spec.space
    if not isinstance(section, NamedSpace) or section.latency is None:
        return spec, model
    reference, table = latency_tables.find(settings, section.latency)
    shape = shape_at(dataset.shape, names.constants.get(RESOLUTION, 0))
    if RESOLUTION in names.space:  # the candidates set the size of their images, whatever the size in the dataset
        shape = (shape[0], *table.shape[1:])
    table.check_fits(section.name, replace(dataset, shape=shape))
    latencies = networks.latency_for(names.space, dataset, names.constants, table)
    return spec.model_copy(update={"space": section.model_copy(update={"latency": reference})}), model | latencies

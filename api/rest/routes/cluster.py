"""The cluster: nodes, what runs on them, what waits."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.rest.auth import can_read
from api.rest.deps import PREFIX, ServiceDep
from api.rest.errors import answers
from api.rest.schemas.cluster import Cluster

router = APIRouter(prefix=PREFIX, tags=["cluster"], dependencies=[Depends(can_read)], responses=answers(401, 403))


@router.get("/cluster", operation_id="get_cluster")
def cluster(service: ServiceDep) -> Cluster:
    """Nodes as the drivers at work report them, the attempts that run, and what waits with the reasons."""
    return Cluster.of(service.system.cluster())

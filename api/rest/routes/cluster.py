"""The cluster: nodes, running attempts, the queue."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.rest.auth import can_read
from api.rest.deps import PREFIX, ServiceDep
from api.rest.errors import answers
from api.rest.schemas.cluster import Cluster

router = APIRouter(prefix=PREFIX, tags=["cluster"], dependencies=[Depends(can_read)], responses=answers(401, 403))


@router.get("/cluster", operation_id="get_cluster")
def cluster(service: ServiceDep) -> Cluster:
    """Get the nodes that active drivers report, the running attempts, the queue with reasons, and the controllers."""
    return Cluster.of(service.system.cluster())

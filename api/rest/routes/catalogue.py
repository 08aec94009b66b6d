"""The catalogue of names for a spec: spaces, algorithms, stopping rules, datasets, tasks."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.rest.auth import can_read
from api.rest.deps import PREFIX, ServiceDep, whole
from api.rest.errors import answers
from api.rest.schemas.base import Page
from api.rest.schemas.catalogue import Dataset, Method, Space, SpaceDetail, TableName, Task
from searchsvc import tasks
from searchsvc.algorithms import ALGORITHMS
from searchsvc.algorithms.stopping.table import STOPPING_RULES
from searchsvc.service.planning import self_training
from searchsvc.spaces import catalogue

router = APIRouter(prefix=PREFIX, tags=["tables"], dependencies=[Depends(can_read)], responses=answers(401, 403, 422))


@router.get("/spaces", operation_id="list_spaces")
def spaces() -> Page[Space]:
    """List the shipped spaces."""
    return whole([Space.of(space) for space in catalogue.SPACES.values()])


@router.get("/spaces/{name}", operation_id="get_space", responses=answers(404))
def space(name: TableName) -> SpaceDetail:
    """Get a space with its parameters."""
    return SpaceDetail.of(catalogue.find(name))


@router.get("/algorithms", operation_id="list_algorithms")
def algorithms() -> Page[Method]:
    """List the algorithms that propose candidates, with their options."""
    return whole([Method.of(entry) for entry in ALGORITHMS.values()])


@router.get("/stopping-rules", operation_id="list_stopping_rules")
def stopping_rules() -> Page[Method]:
    """List the rules that stop unpromising trials early, with their options."""
    return whole([Method.of(entry) for entry in STOPPING_RULES.values()])


@router.get("/datasets", operation_id="list_datasets")
def datasets(service: ServiceDep) -> Page[Dataset]:
    """List the datasets, and the formats of datasets on disk, that tasks can read."""
    return whole(
        [
            Dataset(task=entry.task, name=entry.name, description=entry.description)
            for entry in service.catalogue.datasets()
        ]
    )


@router.get("/tasks", operation_id="list_tasks")
def all_tasks() -> Page[Task]:
    """List the tasks that can be trained."""
    listed = [Task.of(task) for task in tasks.all_tasks()]
    return whole([*listed, Task.around(self_training.names_around())])

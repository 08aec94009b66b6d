"""Requirements of a supernet on space and dataset, checked by the tasks without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from searchsvc.domain.parameters import Parameter, Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.errors import InvalidInput, below
from searchsvc.spaces import Space
from searchsvc.spaces.sharing import check_sharable


def check_supernet(
    parameters: Sequence[Parameter], constants: Mapping[str, Scalar], dataset: DatasetInfo, task: str, *, least: int
) -> None:
    """Check space and dataset; see `searchsvc.domain.task.SupernetTask.check_search`.

    `least`: the least number of validation images.
    """
    count = dataset.sizes["validation"]
    if count < least:
        message = f"has {count} validation images; to score the candidates of a supernet, {least} are needed"
        raise InvalidInput.at("/dataset", message)
    with below("/space"):
        check_sharable(Space(parameters), constants, task)

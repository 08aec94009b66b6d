"""The trial of a supernet: train the weights that all candidates share, and name those worth a trial of their own."""

from __future__ import annotations

from collections.abc import Iterator

from searchsvc.domain.metrics import Measurement
from searchsvc.domain.states import FailureKind
from searchsvc.domain.tasks import TrialTask
from searchsvc.errors import TrialFailed
from workers.autohas.exchange import Alone, Exchange


def search(task: TrialTask, exchange: Exchange | None = None) -> Iterator[Measurement]:
    """See `searchsvc.domain.tasks.SupernetTask.search`; the processes of `exchange` do it together."""
    raise TrialFailed(FailureKind.ERROR, f"process {(exchange or Alone()).rank} cannot train {task.task} supernets yet")

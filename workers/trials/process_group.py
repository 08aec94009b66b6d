"""The exchange between processes of a supernet over torch.distributed: gloo on CPUs, NCCL on GPUs.

A process is in at most one group at a time, until it calls `close`. Importing this module imports torch.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import psutil
import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import TCPStore  # dist.TCPStore, where its types are

from searchsvc.domain import FailureKind
from searchsvc.errors import TrialFailed

JOIN_SECONDS = 120.0
"""Time for all processes to connect to each other, once they have imported torch."""
SILENCE_SECONDS = 120.0
"""Silence after which rank 0 takes another process for lost. The death of a process is noticed at once."""
PATIENCE_SECONDS = 30 * 86400.0
"""The other ranks wait for rank 0, which waits for the driver, which waits for its database. They end with rank 0."""
_BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""Device of a trial -> backends of its tensors; on a GPU some tensors (rewards, logits) are still on the host."""


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """The rank of a process, and the address at which the processes meet."""

    rank: int
    size: int
    host: str
    """Address of rank 0's node."""
    port: int
    """Port at which rank 0 listens."""


class ProcessGroup:
    """An Exchange between processes on any nodes."""

    def __init__(self, place: Rendezvous, device: str, own_host: str, listener: socket.socket | None = None) -> None:
        """Join the group; return when all processes have joined.

        `own_host`: address of this node. `listener`: rank 0's socket on the common port. Raises TrialFailed (LOST) if a
        process does not join.
        """
        self.rank, self.size = place.rank, place.size
        _use_interface_of(own_host)
        with self._reporting_losses():
            self._store = TCPStore(
                place.host,
                place.port,
                place.size,
                is_master=listener is not None,
                timeout=timedelta(seconds=JOIN_SECONDS),
                wait_for_workers=False,
                master_listen_fd=listener.detach() if listener is not None else None,
            )
            self._store.set(str(place.rank), "here")
            self._store.wait([str(rank) for rank in range(place.size)])
            dist.init_process_group(
                _BACKENDS[device],
                store=self._store,
                rank=place.rank,
                world_size=place.size,
                timeout=timedelta(seconds=SILENCE_SECONDS if place.rank == 0 else PATIENCE_SECONDS),
            )

    def mean(self, tensor: Tensor) -> None:
        with self._reporting_losses():
            dist.all_reduce(tensor, op=dist.ReduceOp.AVG)

    def same(self, tensor: Tensor) -> None:
        with self._reporting_losses():
            dist.broadcast(tensor, src=0)

    def close(self) -> None:
        """Leave the group without waiting; processes that wait for this process then fail as LOST."""
        if (world := dist.group.WORLD) is not None:
            world.abort()
            dist.destroy_process_group()

    @contextmanager
    def _reporting_losses(self) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            message = f"rank {self.rank} of {self.size} has lost another process of its supernet: {error}"
            raise TrialFailed(FailureKind.LOST, message) from error


def listener_at(host: str) -> socket.socket:
    """Listen on a free port of that address only; the traffic is neither encrypted nor authenticated."""
    return socket.create_server((host, 0))


def _use_interface_of(host: str) -> None:
    """Connect over the interface that Ray uses on this node, unless the operator has set another."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == host for address in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", name)
    os.environ["TORCH_NCCL_BLOCKING_WAIT"] = "1"  # otherwise the loss of a process ends this one by a signal

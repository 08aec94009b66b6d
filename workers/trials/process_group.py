"""What the processes of one supernet tell each other, over torch.distributed: gloo on CPUs, NCCL on GPUs.

A group is at most one at a time in a process, and it ends with `close`. Importing this module imports torch.
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
"""For all processes to find each other, once torch is imported in them."""
SILENCE_SECONDS = 120.0
"""After so long without a word rank 0 takes another process for lost. A process that dies is missed at once."""
PATIENCE_SECONDS = 30 * 86400.0
"""The others wait for rank 0, which waits for the driver and the driver for its database; they end along with it."""
_BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""Device of a trial -> what carries tensors; on a GPU some (rewards, logits) are still on the host."""


@dataclass(frozen=True, slots=True)
class Seat:
    """The place of one process in a group."""

    rank: int
    size: int
    host: str
    """Address of rank 0's node."""
    port: int
    """Where rank 0 listens there."""


class Group:
    """An Exchange between processes on any nodes."""

    def __init__(self, seat: Seat, device: str, own_host: str, listener: socket.socket | None = None) -> None:
        """Returns when all have come. `own_host`: address of this node; `listener`: of rank 0, on the seat's port.

        Raises TrialFailed (LOST) where one does not come.
        """
        self.rank, self.size = seat.rank, seat.size
        _use_interface_of(own_host)
        with self._all_there():
            self._store = TCPStore(
                seat.host,
                seat.port,
                seat.size,
                is_master=listener is not None,
                timeout=timedelta(seconds=JOIN_SECONDS),
                wait_for_workers=False,
                master_listen_fd=listener.detach() if listener is not None else None,
            )
            self._store.set(str(seat.rank), "here")
            self._store.wait([str(rank) for rank in range(seat.size)])
            dist.init_process_group(
                _BACKENDS[device],
                store=self._store,
                rank=seat.rank,
                world_size=seat.size,
                timeout=timedelta(seconds=SILENCE_SECONDS if seat.rank == 0 else PATIENCE_SECONDS),
            )

    def mean(self, tensor: Tensor) -> None:
        with self._all_there():
            dist.all_reduce(tensor, op=dist.ReduceOp.AVG)

    def same(self, tensor: Tensor) -> None:
        with self._all_there():
            dist.broadcast(tensor, src=0)

    def close(self) -> None:
        """Leave, whatever the others do; those that wait for this process then fail as LOST."""
        if (world := dist.group.WORLD) is not None:
            world.abort()
            dist.destroy_process_group()

    @contextmanager
    def _all_there(self) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            message = f"rank {self.rank} of {self.size} has lost another process of its supernet: {error}"
            raise TrialFailed(FailureKind.LOST, message) from error


def listener_at(host: str) -> socket.socket:
    """A free port of that address alone; what is said there is not encrypted and asks for no token."""
    return socket.create_server((host, 0))


def _use_interface_of(host: str) -> None:
    """Connections go over the interface by which Ray knows this node, unless the operator has named another."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(one.address == host for one in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", name)
    os.environ["TORCH_NCCL_BLOCKING_WAIT"] = "1"  # otherwise the loss of a process ends this one by a signal

"""Room in the cluster: slots for trials, reasons for waiting, nodes to avoid."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import ray

from searchsvc.domain import FailureKind, Node, Resources
from workers.trials.trainable import bundle_of

REFRESH_SECONDS = 1.0
SUSPICIOUS = {2: 4, 3: 3}
"""Number of different trials -> failed attempts on a node, with no success between them, before it is avoided.

Failures of a single trial prove nothing about the node. On a small node the same two trials fail again and again.
"""
_BLAMED = (FailureKind.LOST, FailureKind.OUT_OF_MEMORY, FailureKind.STORAGE, FailureKind.ERROR)
"""Kinds of failures that a node may have caused."""
_GIB = 2**30


@dataclass(slots=True)
class _Record:
    """Failures on a node since the last success there."""

    trials: set[int] = field(default_factory=set)
    kinds: list[FailureKind] = field(default_factory=list)


class Placement:
    """Tracks the cluster's nodes; asks Ray for them at most once per second."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.avoided: frozenset[str] = frozenset()
        self._need = bundle_of(resources)
        self._nodes: dict[str, Mapping[str, float]] = {}
        self._names: dict[str, str] = {}
        self._records: dict[str, _Record] = defaultdict(_Record)
        self._looked = -math.inf

    # ---- room ------------------------------------------------------------------------------------------------------

    def slots(self) -> int:
        """Return how many trials may be active at once.

        At least 1: a trial that no node has room for is submitted, so that its reason for waiting is shown.
        """
        room = max(1, self._room(self._usable()))
        return min(room, self.resources.concurrency or room)

    def why_waiting(self, workers: int = 1) -> str:
        """Return the reason why a trial of `workers` processes, which Ray has queued, has not started."""
        return self.shortage(workers) or f"its worker is starting, on {self._needed(workers)}"

    def shortage(self, workers: int = 1) -> str | None:
        """Return why the cluster has no room for a trial that Ray has queued, or None if it has room."""
        self._look()
        needed = self._needed(workers)
        if (lack := self._lack(workers)) is not None:
            return f"needs {needed}; {lack}"
        if not any(group["state"] == "PENDING" for group in ray.util.placement_group_table().values()):
            return None
        free, total = ray.available_resources(), ray.cluster_resources()
        total_need = {name: workers * amount for name, amount in self._need.items()}
        short = {name: amount for name, amount in total_need.items() if free.get(name, 0.0) < amount}
        if not short:
            return f"waits for {needed}: that much is free, but spread over the nodes"
        return "waits for " + " and ".join(
            f"{_amount(name, amount)}: {_plain(name, free.get(name, 0.0))} of {_plain(name, total.get(name, 0.0))} free"
            for name, amount in short.items()
        )

    def _needed(self, workers: int) -> str:
        bundle = " and ".join(_amount(name, amount) for name, amount in self._need.items())
        return bundle if workers == 1 else f"{workers} times {bundle}"

    def _lack(self, workers: int) -> str | None:
        """Return the shortage that even the idle cluster has for the trial, or None if it has room."""
        most = {name: max((node.get(name, 0.0) for node in self._nodes.values()), default=0.0) for name in self._need}
        if absent := [_noun(name) for name, amount in most.items() if not amount]:
            return f"the cluster has no {' and no '.join(absent)}"
        if small := [_amount(name, most[name]) for name, amount in self._need.items() if most[name] < amount]:
            return f"the largest node has {' and '.join(small)}"
        if not self._room(self._nodes):
            return "no one node of the cluster has that"
        if (room := self._room(self._usable())) < workers:
            subject = "the nodes that are not avoided have" if self.avoided else "the cluster has"
            return f"{subject} room for {room}"
        return None

    def _usable(self) -> list[str]:
        self._look()
        return [node for node in self._nodes if node not in self.avoided]

    def _room(self, nodes: Iterable[str]) -> int:
        """Return how many processes the nodes have room for when they are idle."""
        return sum(_fits(self._need, self._nodes[node]) for node in nodes)

    def _look(self) -> None:
        if time.monotonic() - self._looked < REFRESH_SECONDS:
            return
        alive = [node for node in ray.nodes() if node["Alive"]]
        self._nodes = {node["NodeID"]: node["Resources"] for node in alive}
        self._names = {node["NodeID"]: node["NodeManagerAddress"] for node in alive}
        self.avoided &= self._nodes.keys()
        self._looked = time.monotonic()

    def nodes(self) -> tuple[Node, ...]:
        """Return all nodes of the cluster with their total resources."""
        self._look()
        return tuple(
            Node(
                id=node,
                address=self._names[node],
                cpus=offered.get("CPU", 0.0),
                gpus=offered.get("GPU", 0.0),
                memory_bytes=offered.get("memory", 0.0),
                avoided=node in self.avoided,
            )
            for node, offered in sorted(self._nodes.items())
        )

    # ---- bad nodes -------------------------------------------------------------------------------------------------

    def succeeded(self, node: str | None) -> None:
        if node is not None:
            self._records.pop(node, None)

    def failed(self, node: str | None, trial: int, kind: FailureKind) -> str | None:
        """Count a failure on a node.

        Return the reason if the node is to be avoided from now on, or would be if other nodes had room; else None.
        """
        if node is None or kind not in _BLAMED:
            return None
        record = self._records[node]
        record.trials.add(trial)
        record.kinds.append(kind)
        enough = SUSPICIOUS.get(min(len(record.trials), max(SUSPICIOUS)))
        if node in self.avoided or enough is None or len(record.kinds) < enough:
            return None
        del self._records[node]
        counts = ", ".join(f"{record.kinds.count(each)} {each}" for each in dict.fromkeys(record.kinds))
        reason = f"attempts of {len(record.trials)} trials failed on it with no success between them ({counts})"
        if not self._has_others(node):
            return f"{reason}; it is used on, because no other node has room for a trial"
        self.avoided |= {node}
        return reason

    def name(self, node: str) -> str:
        return f"{node} ({self._names[node]})" if node in self._names else node

    def _has_others(self, node: str) -> bool:
        """True if the other nodes that are not avoided have room for a trial."""
        others = [other for other in self._usable() if other != node]
        return self._room(others) >= self.resources.workers


def _fits(need: Mapping[str, float], total: Mapping[str, float]) -> int:
    """Return how many bundles fit on an idle node."""
    return min(math.floor(total.get(name, 0.0) / amount + 1e-9) for name, amount in need.items())


def _noun(name: str) -> str:
    return "memory to offer" if name == "memory" else name


def _plain(name: str, amount: float) -> str:
    return f"{amount / _GIB:.3g} GiB" if name == "memory" else f"{amount:g}"


def _amount(name: str, amount: float) -> str:
    return f"{_plain(name, amount)} of memory" if name == "memory" else f"{amount:g} {name}"

"""What the cluster has room for, in words and numbers: slots for trials, why a trial waits, which nodes to avoid."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import ray

from searchsvc.domain import FailureKind, Resources
from workers.trainable import bundle_of

REFRESH_SECONDS = 1.0
SUSPICIOUS = {2: 4, 3: 3}
"""Different trials -> attempts that fail on a node, with no success between them, before it is avoided.

One trial alone says nothing of the node. A small node is only ever seen by two: the same ones, as they are retried.
"""
_GIB = 2**30


@dataclass(slots=True)
class _Record:
    """What has failed on a node since the last success there."""

    trials: set[int] = field(default_factory=set)
    kinds: list[FailureKind] = field(default_factory=list)


class Placement:
    """Looks at the cluster once a second at most."""

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
        """How many trials may be out at once. At least one: what no node has room for says so while it waits."""
        self._look()
        usable = [total for node, total in self._nodes.items() if node not in self.avoided]
        room = max(1, sum(_fits(self._need, total) for total in usable))
        return min(room, self.resources.concurrency or room)

    def why_waiting(self) -> str:
        """Why a trial that was handed to Ray has not started."""
        self._look()
        wanted = " and ".join(_amount(name, amount) for name, amount in self._need.items())
        total = {name: [node.get(name, 0.0) for node in self._nodes.values()] for name in self._need}
        absent = [name for name, amounts in total.items() if not any(amounts)]
        if absent:
            return f"needs {wanted}; the cluster has no {' and no '.join(_noun(name) for name in absent)}"
        small = [name for name, amount in self._need.items() if max(total[name]) < amount]
        if small:
            largest = " and ".join(_amount(name, max(total[name])) for name in small)
            return f"needs {wanted}; the largest node has {largest}"
        if not any(_fits(self._need, node) for node in self._nodes.values()):
            return f"needs {wanted} on one node; no node of the cluster has that"
        if not any(group["state"] == "PENDING" for group in ray.util.placement_group_table().values()):
            return f"its worker is starting, on {wanted}"
        free = ray.available_resources()
        short = {name: amount for name, amount in self._need.items() if free.get(name, 0.0) < amount}
        if not short:
            return f"waits for {wanted}: no one node has that much free"
        return "waits for " + " and ".join(
            f"{_amount(name, amount)}: {_plain(name, free.get(name, 0.0))} of {_plain(name, sum(total[name]))} free"
            for name, amount in short.items()
        )

    def _look(self) -> None:
        if time.monotonic() - self._looked < REFRESH_SECONDS:
            return
        alive = [node for node in ray.nodes() if node["Alive"]]
        self._nodes = {node["NodeID"]: node["Resources"] for node in alive}
        self._names = {node["NodeID"]: node["NodeManagerAddress"] for node in alive}
        self.avoided &= self._nodes.keys()
        self._looked = time.monotonic()

    # ---- bad nodes -------------------------------------------------------------------------------------------------

    def succeeded(self, node: str | None) -> None:
        if node is not None:
            self._records.pop(node, None)

    def failed(self, node: str | None, trial: int, kind: FailureKind) -> str | None:
        """Take note of a failure. The reason, where it makes the node one to avoid (or one that would be)."""
        if node is None or kind not in (FailureKind.LOST, FailureKind.OUT_OF_MEMORY, FailureKind.ERROR):
            return None
        record = self._records[node]
        record.trials.add(trial)
        record.kinds.append(kind)
        enough = SUSPICIOUS.get(min(len(record.trials), max(SUSPICIOUS)))
        if node in self.avoided or enough is None or len(record.kinds) < enough:
            return None
        del self._records[node]
        counts = ", ".join(f"{record.kinds.count(one)} {one}" for one in dict.fromkeys(record.kinds))
        reason = f"attempts of {len(record.trials)} trials failed on it with no success between them ({counts})"
        if not self._has_others(node):
            return f"{reason}; it is used on, because no other node has room for a trial"
        self.avoided |= {node}
        return reason

    def name(self, node: str) -> str:
        return f"{node} ({self._names[node]})" if node in self._names else node

    def _has_others(self, node: str) -> bool:
        """Whether there is room on a node that is neither avoided nor under the same suspicion."""
        self._look()
        others = [one for one in self._nodes if one != node and one not in self.avoided]
        return any(_fits(self._need, self._nodes[one]) for one in others)


def _fits(need: Mapping[str, float], total: Mapping[str, float]) -> int:
    """How many bundles a node has room for in all."""
    return min(math.floor(total.get(name, 0.0) / amount + 1e-9) for name, amount in need.items())


def _noun(name: str) -> str:
    return "memory to offer" if name == "memory" else name


def _plain(name: str, amount: float) -> str:
    return f"{amount / _GIB:.3g} GiB" if name == "memory" else f"{amount:g}"


def _amount(name: str, amount: float) -> str:
    return f"{_plain(name, amount)} of memory" if name == "memory" else f"{amount:g} {name}"

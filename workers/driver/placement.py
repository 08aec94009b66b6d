"""What the cluster has room for, in words and numbers: slots for trials, why a trial waits, which nodes to avoid."""

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
        room = max(1, self._room(self._usable()))
        return min(room, self.resources.concurrency or room)

    def why_waiting(self, workers: int = 1) -> str:
        """Why a trial of so many processes, which was handed to Ray, has not started."""
        self._look()
        one = " and ".join(_amount(name, amount) for name, amount in self._need.items())
        wanted = one if workers == 1 else f"{workers} times {one}"
        if (lack := self._lack(workers)) is not None:
            return f"needs {wanted}; {lack}"
        if not any(group["state"] == "PENDING" for group in ray.util.placement_group_table().values()):
            return f"its worker is starting, on {wanted}"
        free, total = ray.available_resources(), ray.cluster_resources()
        all_of_it = {name: workers * amount for name, amount in self._need.items()}
        short = {name: amount for name, amount in all_of_it.items() if free.get(name, 0.0) < amount}
        if not short:
            return f"waits for {wanted}: that much is free, but spread over the nodes"
        return "waits for " + " and ".join(
            f"{_amount(name, amount)}: {_plain(name, free.get(name, 0.0))} of {_plain(name, total.get(name, 0.0))} free"
            for name, amount in short.items()
        )

    def _lack(self, workers: int) -> str | None:
        """What the cluster would not have if it were idle; None where nothing is missing."""
        most = {name: max((node.get(name, 0.0) for node in self._nodes.values()), default=0.0) for name in self._need}
        if absent := [_noun(name) for name, amount in most.items() if not amount]:
            return f"the cluster has no {' and no '.join(absent)}"
        if small := [_amount(name, most[name]) for name, amount in self._need.items() if most[name] < amount]:
            return f"the largest node has {' and '.join(small)}"
        if not self._room(self._nodes):
            return "no one node of the cluster has that"
        if (room := self._room(self._usable())) < workers:
            where = "the nodes that are not avoided have" if self.avoided else "the cluster has"
            return f"{where} room for {room}"
        return None

    def _usable(self) -> list[str]:
        self._look()
        return [node for node in self._nodes if node not in self.avoided]

    def _room(self, nodes: Iterable[str]) -> int:
        """How many processes there is room for on idle nodes."""
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
        """All that there are, with all that they offer."""
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
        """Whether the nodes that are neither avoided nor under the same suspicion have room for a trial."""
        others = [one for one in self._usable() if one != node]
        return self._room(others) >= self.resources.workers


def _fits(need: Mapping[str, float], total: Mapping[str, float]) -> int:
    """How many bundles a node has room for in all."""
    return min(math.floor(total.get(name, 0.0) / amount + 1e-9) for name, amount in need.items())


def _noun(name: str) -> str:
    return "memory to offer" if name == "memory" else name


def _plain(name: str, amount: float) -> str:
    return f"{amount / _GIB:.3g} GiB" if name == "memory" else f"{amount:g}"


def _amount(name: str, amount: float) -> str:
    return f"{_plain(name, amount)} of memory" if name == "memory" else f"{amount:g} {name}"

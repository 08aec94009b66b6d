"""The groups of modules that are mutated, and the tests that should notice it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Group:
    """Modules, and the tests that should notice a fault in them."""

    modules: tuple[str, ...]
    """Patterns of paths from the root."""
    tests: tuple[str, ...]
    without: tuple[str, ...] = ()
    """Names of modules that other tests cover, because they only connect other processes."""
    has_processes: bool = False
    """True if tests also run the modules in processes of their own."""

    def paths(self, root: Path = ROOT) -> list[Path]:
        paths = sorted({path for pattern in self.modules for path in root.glob(pattern)})
        return [path for path in paths if path.stem not in self.without]

    def relative_paths(self, root: Path = ROOT) -> list[Path]:
        return [path.relative_to(root) for path in self.paths(root)]


_OF_THE_STORE = (
    *("controllers", "deletions", "events", "jobs", "leases", "life_cycle", "odd_values", "quotas", "reads"),
    *("relabellings", "requests", "writer"),
)

GROUPS = {
    "store": Group(
        ("searchsvc/store/**/*.py",),
        ("tests/unit/searchsvc/store", *(f"tests/contract/test_store_{kind}.py" for kind in _OF_THE_STORE)),
        without=("schema",),
    ),
    "proposing": Group(
        ("searchsvc/proposing/*.py",),
        (
            "tests/unit/searchsvc/proposing",
            "tests/contract/test_algorithms_proposer.py",
            "tests/contract/test_algorithms_shared.py",
            "tests/contract/test_algorithms_staged.py",
            "tests/contract/test_algorithms_replay.py",
        ),
    ),
    "controller": Group(
        ("searchsvc/controller/*.py",),
        ("tests/unit/searchsvc/controller", "tests/integration/test_controller.py"),
        has_processes=True,
    ),
    "driver": Group(
        ("workers/driver/*.py",),
        ("tests/unit/workers/driver",),
        without=("__main__", "connection", "job", "search", "standby"),
    ),
    "losses": Group(("workers/losses/*.py",), ("tests/unit/workers/losses",)),
    "readers": Group(("workers/data/**/*.py",), ("tests/unit/workers/data",)),
}

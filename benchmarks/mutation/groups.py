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

    def paths(self, root: Path = ROOT) -> list[Path]:
        paths = sorted({path for pattern in self.modules for path in root.glob(pattern)})
        return [path for path in paths if path.stem not in self.without]

    def tests_of(self, module: Path) -> list[str]:
        """Return the tests of the group, those of the module itself first."""
        own = f"tests/unit/{module.parent}/test_{module.stem}.py"
        return [own, *self.tests] if (ROOT / own).exists() else list(self.tests)


GROUPS = {
    "store": Group(
        ("searchsvc/store/*.py",),
        tuple(f"tests/contract/test_store_{kind}.py" for kind in ("jobs", "writer", "leases", "reads", "relabellings")),
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
    ),
    "driver": Group(
        ("workers/driver/*.py",),
        ("tests/unit/workers/driver",),
        without=("__main__", "connection", "job", "search", "standby"),
    ),
    "losses": Group(("workers/losses/*.py",), ("tests/unit/workers/losses",)),
    "readers": Group(("workers/data/**/*.py",), ("tests/unit/workers/data",)),
}

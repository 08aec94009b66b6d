"""`make mutants`: its groups name what there is, its operators change code, and it ends every process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.mutation.groups import GROUPS, ROOT

SOURCE = '''"""A module."""
LIMIT = 5
_log.info("starts")


def smaller(x: int | None, y: int = 3) -> bool:
    """Compare."""
    if x is None:
        raise ValueError(x)
    return x < y
'''


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_has_modules_and_tests(name: str) -> None:
    group = GROUPS[name]
    assert len(group.paths()) > 2
    assert all((ROOT / test).exists() for test in group.tests)
    stems = {path.stem for pattern in group.modules for path in ROOT.glob(pattern)}
    assert set(group.without) <= stems
    assert not {path.stem for path in group.paths()} & set(group.without)


def test_the_tests_of_a_module_come_first() -> None:
    tests = GROUPS["losses"].tests_of(Path("workers/losses/atss.py"))
    assert tests == ["tests/unit/workers/losses/test_atss.py", "tests/unit/workers/losses"]
    assert GROUPS["losses"].tests_of(Path("workers/losses/nothing.py")) == ["tests/unit/workers/losses"]


def test_every_place_has_mutants_that_differ_in_it_alone() -> None:
    mutants = pytest.importorskip("benchmarks.mutation.mutants", exc_type=ImportError)
    places = mutants.places_of(Path("module.py"), SOURCE)
    made = {(m.line, m.after) for place in places for seed in range(9) for m in [place.mutant(random.Random(seed))]}
    assert made == {
        (6, "def smaller(x: int | None, y: int = 4) -> bool:"),
        (6, "def smaller(x: int | None, y: int = 2) -> bool:"),
        (8, "if x is not None:"),
        (8, "if not x is None:"),
        (9, "pass"),
        (10, "pass"),
        (10, "return x <= y"),
        (10, "return x >= y"),
    }


def test_a_sample_is_the_same_for_the_same_seed_and_takes_the_groups_in_turn() -> None:
    sample = pytest.importorskip("benchmarks.mutation.sample", exc_type=ImportError)
    first, again, other = (sample.sampled(["losses", "proposing"], 5, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert [name for name, _ in first] == ["losses", "proposing"] * 5
    assert all(mutant.code != (ROOT / mutant.path).read_text() for _, mutant in first)


PASSING = "from module import smaller\n\ndef test_smaller(): assert smaller(2) and not smaller(4)\n"
STARTS_A_PROCESS = """
import subprocess, sys
from pathlib import Path
from module import smaller

def test_smaller():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    Path("pid").write_text(str(process.pid))
    assert smaller(2)
    while smaller(3):
        pass
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree with a module and its test."""
    (tmp_path / "module.py").write_text(SOURCE.replace("_log", "# _log"))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = postgres\n slow\n gpu\n chaos\n")
    (tmp_path / "test_module.py").write_text(PASSING)
    return tmp_path


def test_only_a_mutant_that_a_test_notices_is_killed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = pytest.importorskip("benchmarks.mutation.run", exc_type=ImportError)
    mutants = pytest.importorskip("benchmarks.mutation.mutants")
    groups = pytest.importorskip("benchmarks.mutation.groups")
    monkeypatch.setitem(GROUPS, "module", groups.Group(("module.py",), ("test_module.py",)))
    source = (tree / "module.py").read_text()
    changes = [source, source.replace("x < y", "x <= y"), source.replace("x < y", "x >= y")]
    candidates = [("module", mutants.Mutant(Path("module.py"), 10, "", "", code)) for code in changes]
    verdicts = list(run.run(candidates, {"module": 60.0}, [tree], time.monotonic() + 600))
    assert [verdict.killed for verdict in verdicts] == [False, False, True]
    assert (tree / "module.py").read_text() == source
    assert list(run.run(candidates, {"module": 60.0}, [tree], time.monotonic())) == []


def test_a_mutant_that_does_not_end_is_killed_with_all_that_it_started(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = pytest.importorskip("benchmarks.mutation.run", exc_type=ImportError)
    mutants = pytest.importorskip("benchmarks.mutation.mutants")
    groups = pytest.importorskip("benchmarks.mutation.groups")
    (tree / "test_module.py").write_text(STARTS_A_PROCESS)
    monkeypatch.setitem(GROUPS, "module", groups.Group(("module.py",), ("test_module.py",)))
    endless = (tree / "module.py").read_text().replace("x < y", "x <= y")
    candidates = [("module", mutants.Mutant(Path("module.py"), 10, "", "", endless))]
    [verdict] = run.run(candidates, {"module": 15.0}, [tree], time.monotonic() + 600)
    assert verdict.killed
    pid = int((tree / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]


def test_a_group_whose_tests_fail_anyway_judges_nothing(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = pytest.importorskip("benchmarks.mutation.run", exc_type=ImportError)
    groups = pytest.importorskip("benchmarks.mutation.groups")
    (tree / "test_module.py").write_text("def test_smaller(): assert False, 'broken before'\n")
    monkeypatch.setitem(GROUPS, "module", groups.Group(("module.py",), ("test_module.py",)))
    with pytest.raises(SystemExit, match=r"(?s)module: the tests fail without any mutant.*broken before"):
        run.seconds_allowed("module", tree)


def test_an_unknown_group_is_refused_with_the_known_ones() -> None:
    pytest.importorskip("benchmarks.mutation.mutants", exc_type=ImportError)
    command = [sys.executable, "-m", "benchmarks.mutation", "shop"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert done.returncode == 2
    assert "store" in done.stderr

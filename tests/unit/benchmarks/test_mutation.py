"""`make mutants`: its groups name what there is, its operators change code, and it ends every process."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.mutation.groups import GROUPS, ROOT, Group

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


def test_the_tests_that_run_a_line_are_chosen_those_of_the_module_and_the_fast_first() -> None:
    selection = pytest.importorskip("benchmarks.mutation.selection", exc_type=ImportError)
    mutants = pytest.importorskip("benchmarks.mutation.mutants")
    seconds = {"slow.py::a": 9.0, "own.py::a": 5.0, "own.py::b": 1.0, "fast.py::a": 0.5, "other.py::a": 0.1}
    lines = {"module.py": {6: {""}, 8: {*seconds} - {"other.py::a"}, 10: {"slow.py::a", "own.py::a", "own.py::b"}}}
    baseline = selection.Baseline(seconds, lines, overhead=1.0, has_processes=False)

    def tests_of(line: int) -> list[str]:
        tests: list[str] = baseline.tests_of(mutants.Mutant(Path("module.py"), line, "", "", ""), SOURCE, "own.py")
        return tests

    users = ["own.py::b", "own.py::a", "fast.py::a", "slow.py::a"]
    assert tests_of(10) == ["own.py::b", "own.py::a", "slow.py::a"]
    assert tests_of(8) == users
    assert tests_of(6) == [*users, "other.py::a"]  # run by the import, so it can show in every test
    assert tests_of(9) == []
    assert replace(baseline, has_processes=True).tests_of(
        mutants.Mutant(Path("module.py"), 9, "", "", ""), SOURCE, "own.py"
    ) == [*users[:2], "other.py::a", *users[2:]]
    assert baseline.seconds_of(["own.py::a", "fast.py::a"]) == 6.5


def test_an_equivalent_mutant_has_a_reason_and_a_line_that_is_still_there() -> None:
    equivalents = pytest.importorskip("benchmarks.mutation.equivalents", exc_type=ImportError)
    for each in equivalents.EQUIVALENTS:
        code = " ".join((ROOT / each.path).read_text().split())
        assert each.before in code
        assert each.reason


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


def test_the_line_of_a_mutant_is_one_with_code_although_the_blank_lines_before_it_differ_too() -> None:
    mutants = pytest.importorskip("benchmarks.mutation.mutants", exc_type=ImportError)
    [place] = mutants.places_of(Path("module.py"), "import functools\n\n\n@functools.cache\ndef first(): ...\n")
    mutant = place.mutant(random.Random(1))
    assert (mutant.line, mutant.before, mutant.after) == (4, "@functools.cache", "")


def test_a_sample_is_the_same_for_the_same_seed_and_takes_the_groups_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = pytest.importorskip("benchmarks.mutation.sample", exc_type=ImportError)
    for name, count in (("few", 1), ("many", 3)):
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"module{number}.py").write_text(SOURCE)
        monkeypatch.setitem(GROUPS, name, Group((f"{name}/*.py",), ("tests",)))
    first, again, other = (sample.sampled(["few", "many"], 9, seed, tmp_path) for seed in (1, 1, 2))
    assert first == again != other
    assert [name for name, _ in first] == ["few", "many"] * 6 + ["many"] * 3  # the small group has six places
    assert len({mutant.code + str(mutant.path) for _, mutant in first}) == len(first)
    assert all(mutant.code != (tmp_path / mutant.path).read_text() for _, mutant in first)


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


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A workbench whose tree is a small one with a module and its test, the group `module`."""
    workbench = pytest.importorskip("benchmarks.mutation.workbench", exc_type=ImportError)
    tree = tmp_path_factory.mktemp("tree")
    (tree / "module.py").write_text(SOURCE.replace("_log", "# _log"))
    (tree / "pytest.ini").write_text("[pytest]\nmarkers = postgres\n slow\n gpu\n chaos\n")
    shutil.copytree(ROOT / "benchmarks" / "mutation", tree / "benchmarks" / "mutation")
    (tree / "benchmarks" / "__init__.py").touch()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(GROUPS, "module", Group(("module.py",), ("test_module.py",)))
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # each run would import all installed plugins
        monkeypatch.setenv("PYTEST_ADDOPTS", "-p pytest_timeout")
        opened = workbench.Workbench(tree)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def baseline(bench: Any) -> Any:
    """The baseline of the test that passes."""
    workbench = pytest.importorskip("benchmarks.mutation.workbench")
    (bench.folder / "test_module.py").write_text(PASSING)
    return workbench.baseline("module", bench)


def _verdict(bench: Any, baseline: Any, before: str, after: str) -> Any:
    run = pytest.importorskip("benchmarks.mutation.run")
    mutants = pytest.importorskip("benchmarks.mutation.mutants")
    source = (bench.folder / "module.py").read_text()
    line = source.partition(before)[0].count("\n") + 1
    mutant = mutants.Mutant(Path("module.py"), line, before, after, source.replace(before, after))
    [verdict] = run.run([("module", mutant)], {"module": baseline}, [bench], time.monotonic() + 600)
    assert list(run.run([("module", mutant)], {"module": baseline}, [bench], time.monotonic())) == []
    assert (bench.folder / "module.py").read_text() == source
    return verdict


@pytest.mark.parametrize(
    ("before", "after", "fate"),
    [
        ("x < y", "x < y + 0", "SURVIVED"),
        ("x < y", "x <= y", "SURVIVED"),
        ("x < y", "x >= y", "killed"),
        ("raise ValueError(x)", "pass", "NOT RUN"),
        ("y: int = 3", "y: int = 2", "killed"),
    ],
)
def test_only_a_mutant_that_a_test_notices_is_killed(
    bench: Any, baseline: Any, before: str, after: str, fate: str
) -> None:
    (bench.folder / "test_module.py").write_text(PASSING)
    verdict = _verdict(bench, baseline, before, after)
    assert verdict.fate == fate
    assert verdict.why == ("test_module.py::test_smaller" if fate == "killed" else "")


def test_a_mutant_that_does_not_end_is_killed_with_all_that_it_started(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbench = pytest.importorskip("benchmarks.mutation.workbench")
    run = pytest.importorskip("benchmarks.mutation.run")
    monkeypatch.setattr(run, "_LEAST_SECONDS", 2.0)
    (bench.folder / "test_module.py").write_text(STARTS_A_PROCESS)
    assert _verdict(bench, workbench.baseline("module", bench), "x < y", "x <= y").fate == "killed"
    pid = int((bench.folder / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]


def test_an_equivalent_mutant_is_not_judged(bench: Any, baseline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    equivalents = pytest.importorskip("benchmarks.mutation.equivalents")
    known = equivalents.Equivalent("module.py", "x < y", "x >= y", "Nobody compares.")
    monkeypatch.setattr(equivalents, "EQUIVALENTS", (known,))
    verdict = _verdict(bench, baseline, "x < y", "x >= y")
    assert (verdict.fate, verdict.why) == ("equivalent", "Nobody compares.")


def test_a_group_whose_tests_fail_anyway_judges_nothing(bench: Any) -> None:
    workbench = pytest.importorskip("benchmarks.mutation.workbench")
    (bench.folder / "test_module.py").write_text("def test_smaller(): assert False, 'broken before'\n")
    with pytest.raises(SystemExit, match=r"(?s)module: the tests fail without any mutant.*broken before"):
        workbench.baseline("module", bench)


def test_mutants_that_were_not_judged_are_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("benchmarks.mutation.mutants", exc_type=ImportError)
    command = pytest.importorskip("benchmarks.mutation.__main__", exc_type=ImportError)
    command.report(["losses"], [], 12)
    printed = capsys.readouterr().out
    assert "12 of 12 mutants were not judged in time" in printed
    assert "No mutant survived" not in printed
    command.report(["losses"], [], 0)
    assert "No mutant survived" in capsys.readouterr().out


def test_an_unknown_group_is_refused_with_the_known_ones() -> None:
    pytest.importorskip("benchmarks.mutation.mutants", exc_type=ImportError)
    command = [sys.executable, "-m", "benchmarks.mutation", "shop"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert done.returncode == 2
    assert "store" in done.stderr

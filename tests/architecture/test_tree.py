"""The shape of the repository: places of files, imports, lists of versions."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP_LEVEL = [
    *("searchsvc", "api", "workers", "migrations", "tests", "benchmarks", "docs", "examples", ".ci/run", "Makefile"),
    *("pyproject.toml", "constraints.txt", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "mkdocs.yml"),
    *("docker-compose.yml", "Dockerfile"),
]
CODE = [
    path
    for folder in ("searchsvc", "api", "workers", "migrations", "tests", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("entry", TOP_LEVEL)
def test_the_tree_has_its_parts(entry: str) -> None:
    assert (ROOT / entry).exists()


@pytest.mark.parametrize("path", CODE, ids=_name)
def test_every_module_begins_with_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_the_rooms_import_one_way() -> None:
    """Check the contracts of import-linter in pyproject.toml."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout


def test_only_settings_reads_environment_variables() -> None:
    reads = re.compile(r"os\.getenv|os\.environ(\[|\.get\()")
    offenders = [
        _name(path)
        for path in CODE
        if path.parts[len(ROOT.parts)] in ("searchsvc", "api") and reads.search(path.read_text())
    ]
    assert offenders == []


def test_constraints_hold_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+")
    assert [line for line in lines if line and not line.startswith("#") and not pinned.fullmatch(line)] == []


def test_every_dependency_is_pinned() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {_plain(one) for one in (*project["dependencies"], *chain(*project["optional-dependencies"].values()))}
    pinned = {_plain(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert wanted - pinned == set()


def _plain(requirement: str) -> str:
    """Return the name of a requirement, spelled as registries compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~;\s]", requirement)[0]).lower()


@pytest.mark.parametrize(
    "name", ["Makefile", ".ci/run", ".ci/packages", "pyproject.toml", "constraints.txt", "Dockerfile"]
)
def test_nothing_names_an_index_or_a_cache(name: str) -> None:
    """The machine that installs packages decides their source."""
    assert not re.search(
        r"--(extra-)?index-url|--find-links|--trusted-host|pypi\.|PIP_(EXTRA_)?INDEX", (ROOT / name).read_text()
    )


def test_ci_runs_what_developers_run() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert script.startswith("#!/usr/bin/env bash")
    assert "exec make test" in script
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


@pytest.mark.parametrize("target", ["run", "test", "lint", "bench", "serve", "docs", "clean", "help"])
def test_make_has_its_targets(target: str) -> None:
    result = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_missing_system_packages_are_reported_and_fail_only_in_ci(tmp_path: Path, ci: str, code: int) -> None:
    for name in ("sh", "tr", "id", "ls"):
        path = shutil.which(name)
        assert path
        (tmp_path / name).symlink_to(path)
    command = [str(tmp_path / "sh"), str(ROOT / ".ci/packages")]
    result = subprocess.run(command, env={"PATH": str(tmp_path), "CI": ci}, capture_output=True, text=True, timeout=30)
    assert result.returncode == code
    assert re.search(r"Missing: .*chromium .*apt-get install .*chromium", result.stderr)

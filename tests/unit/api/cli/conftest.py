"""searchctl in this process, on its own store, without a service."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from searchsvc.domain import Job
from searchsvc.store import Store
from tests.support.jobs import a_claimed_job, run_trials

SPEC = """
name: tiny
task: classification
dataset: {name: digits}
space: {name: mbconv-small}
objectives: [{metric: accuracy}, {metric: flops, goal: minimize}]
constraints: [{metric: flops, max: 5e5}]
algorithm: {name: random}
fidelity: {epochs: 1}
budget: {trials: 2}
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Searchctl = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder, with an empty database."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "searchsvc.db")
    monkeypatch.setenv("SEARCHSVC_DATA_DIR", str(folder))
    for name in ("URL", "TOKEN", "DATABASE_URL", "RAY_ADDRESS"):
        monkeypatch.delenv(f"SEARCHSVC_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def searchctl(home: Path) -> Searchctl:
    def call(*arguments: str, stdin: str | None = None) -> Answer:
        result = CliRunner().invoke(app, arguments, input=stdin, prog_name="searchctl", catch_exceptions=False)
        return Answer(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def spec(home: Path) -> str:
    path = home.parent / "spec.yaml"
    path.write_text(SPEC)
    return str(path)


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{home}/searchsvc.db")
    yield store
    store.close()


@pytest.fixture
def searched(store: Store) -> Job:
    """A job with four results, of which #2 is the best."""
    job, lease = a_claimed_job(store)
    run_trials(store, lease, [0.5, 0.7, 0.9, 0.6])
    return job

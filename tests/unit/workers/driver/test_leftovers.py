"""Files are removed once no stored result needs them, and never before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from searchsvc.domain import FileMade, TrialState, new_id
from workers.driver.leftovers import Leftovers

MADE = FileMade("model.safetensors", 1, "0" * 64, "2")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a trial with two attempts, and files of an earlier version."""
    home = tmp_path / new_id()
    for name in ("", "1", "2", "2.1"):
        write(home / name / "last.pt")
        write(home / name / "model.safetensors")
    write(home / "teacher" / "complete.json")
    write(home / "trial.log")
    return home


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def names(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


def carried_out(leftovers: Leftovers) -> None:
    """Carry out all requests in this thread."""
    leftovers.close()
    leftovers.run()


def test_a_stored_result_keeps_its_files_and_the_log(home: Path) -> None:
    leftovers = Leftovers(home.parent)
    leftovers.ended(home.name, [MADE])
    carried_out(leftovers)
    assert names(home) == {"2/model.safetensors", "trial.log"}


def test_a_result_without_files_keeps_the_newest_folder(home: Path) -> None:
    leftovers = Leftovers(home.parent)
    leftovers.ended(home.name, [])
    carried_out(leftovers)
    assert names(home) == {"2.1/model.safetensors", "trial.log"}


def test_a_result_of_an_earlier_version_stays_in_the_folder_of_its_trial(tmp_path: Path) -> None:
    home = tmp_path / new_id()
    for name in ("model.safetensors", "last.pt", "trial.log", "teacher/model.safetensors"):
        write(home / name)
    leftovers = Leftovers(tmp_path)
    leftovers.ended(home.name, [FileMade("model.safetensors", 1, "0" * 64)])
    carried_out(leftovers)
    assert names(home) == {"model.safetensors", "trial.log", "teacher/model.safetensors"}


def test_an_attempt_with_a_checkpoint_of_its_own_replaces_the_attempts_before(home: Path) -> None:
    leftovers = Leftovers(home.parent)
    leftovers.continued(home.name, 2)
    carried_out(leftovers)
    assert {path.split("/")[0] for path in names(home)} == {"2", "2.1", "trial.log"}
    leftovers = Leftovers(home.parent)
    leftovers.continued(home.name, 3)  # a number without a folder replaces nothing
    carried_out(leftovers)
    assert {path.split("/")[0] for path in names(home)} == {"2", "2.1", "trial.log"}


def test_a_failed_attempt_leaves_only_the_folder_that_the_next_attempt_takes_over(home: Path) -> None:
    write(home / "3" / ".taking-over")
    write(home / "4" / ".taking-over")  # the next attempt, at work
    leftovers = Leftovers(home.parent)
    leftovers.failed(home.name, 3)
    carried_out(leftovers)
    assert {path.split("/")[0] for path in names(home) if "/" in path} == {"2", "2.1", "4", "teacher"}


class StoredTrials:
    """The part of a store that a sweep reads."""

    def __init__(self, home: Path, state: TrialState, paths: list[str]) -> None:
        self._trial = SimpleNamespace(id=home.name, state=state, attempts=2)
        self._artifacts = [SimpleNamespace(trial_id=home.name, path=path) for path in paths]

    def job_artifacts(self, job_id: str) -> list[Any]:  # noqa: ARG002 - the store's
        return self._artifacts

    def trials_with_ids(self, ids: list[str]) -> list[Any]:
        return [self._trial] if self._trial.id in ids else []


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (TrialState.SUCCEEDED, {"2/model.safetensors", "trial.log"}),
        (TrialState.STOPPED, {"2/model.safetensors", "trial.log"}),
        (TrialState.FAILED, {f"{name}/{file}" for name in ("2", "2.1") for file in ("last.pt", "model.safetensors")}),
        (TrialState.QUEUED, None),
        (TrialState.RUNNING, None),
    ],
    ids=lambda value: value if isinstance(value, TrialState) else "",
)
def test_a_sweep_removes_files_of_ended_trials_alone(home: Path, state: TrialState, kept: set[str] | None) -> None:
    """The driver that stored the result was killed before it removed anything."""
    before = names(home)
    store: Any = StoredTrials(home, state, [f"job/{home.name}/2/model.safetensors"] if state.has_result else [])
    (home.parent / "folds-1234").mkdir()
    leftovers = Leftovers(home.parent)
    leftovers.sweep(store, "job")
    carried_out(leftovers)
    assert names(home) == (before if kept is None else kept | {"trial.log"})
    assert (home.parent / "folds-1234").exists()


def test_an_error_of_one_removal_is_logged_and_the_next_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    leftovers = Leftovers(home.parent)
    leftovers.ended(home.name, [FileMade("model.safetensors", 1, "0" * 64, "7")])
    leftovers.ended(home.name, [MADE])
    carried_out(leftovers)
    assert "7 of a stored result is missing" in caplog.text
    assert names(home) == {"2/model.safetensors", "trial.log"}

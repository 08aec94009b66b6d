"""Each attempt at a trial has a folder of its own, which begins with the files of an earlier attempt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from searchsvc.checksums import sha256_of
from searchsvc.domain import Artifact, Decision, FileMade, Measurement, Outcome, TrialState, TrialTask
from tests.support.tasks import NoOp
from workers.models import load
from workers.training.self_training import stages
from workers.trials import folders
from workers.trials.run_trial import TrialRun, run_test, run_trial

MODEL, LAST, LOG = "model.safetensors", "last.pt", "trial.log"


@pytest.fixture
def attempt(make_task: Callable[..., TrialTask]) -> Callable[..., TrialTask]:
    """Return a function that builds the task of attempt 1, 2, ... at one trial."""

    def make(number: int = 1, **fields: Any) -> TrialTask:
        task = make_task(**fields)
        home = task.directory
        return replace(task, attempt=number, directory=f"{home}/{number}", trial_directory=home)

    return make


class InPlace(NoOp):
    """Writes its files in place: last.pt holds its step, model.safetensors the attempts that have trained it."""

    def train(self, task: TrialTask) -> Iterator[Measurement]:
        folder = Path(task.directory)
        done = int((folder / LAST).read_text()) if (folder / LAST).exists() else 0
        for step in range(done + 1, task.last_step + 1):
            with (folder / MODEL).open("a") as weights:
                weights.write(f"{task.attempt}")
            (folder / LAST).write_text(str(step))
            yield Measurement(step, {"score": float(step)}, float(step))

    def files(self, directory: Path) -> tuple[str, ...]:
        return (MODEL,) if (directory / MODEL).exists() else ()

    def test(self, task: TrialTask) -> Mapping[str, float]:
        return {"score": float((Path(task.directory) / MODEL).read_text())}


IN_PLACE = InPlace()


def find(name: str) -> Any:
    return IN_PLACE


def steps(run: TrialRun, count: int) -> list[int]:
    return [next(run).step for _ in range(count)]


def to_the_end(task: TrialTask, tasks: Any = None) -> tuple[list[int], Outcome]:
    reported: list[int] = []

    def report(measurement: Measurement) -> Decision:
        reported.append(measurement.step)
        return Decision.CONTINUE

    outcome = run_trial(task, report, tasks) if tasks else run_trial(task, report)
    return reported, outcome


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- one folder per attempt ------------------------------------------------------------------------------------------


def test_results_name_their_attempt_and_the_log_is_that_of_the_trial(attempt: Any) -> None:
    task = attempt()
    home = Path(task.trial_directory)
    _, outcome = to_the_end(task)
    assert {file.folder for file in outcome.files} == {"1"}
    assert {path.name for path in home.iterdir()} == {"1", LOG}
    assert outcome.files[0].path_in("job/trial") == f"job/trial/1/{outcome.files[0].name}"


def test_an_attempt_continues_from_the_files_of_the_attempt_before(attempt: Any) -> None:
    first = TrialRun(attempt(epochs=4))
    steps(first, 2)
    first.close()
    reported, outcome = to_the_end(attempt(2, epochs=4, stored_step=2))
    assert (reported, outcome.state) == ([3, 4], TrialState.SUCCEEDED)
    log = (Path(attempt().trial_directory) / LOG).read_text()
    assert log.index("attempt 1 of trial") < log.index("step 2:") < log.index("attempt 2 of trial")


@pytest.mark.parametrize("tasks", [None, find], ids=["shipped", "in place"])
def test_an_attempt_that_was_given_up_changes_nothing_newer(attempt: Any, tasks: Any) -> None:
    """Attempt 1 freezes after its first epoch, attempt 2 ends, and attempt 1 goes on to its end."""
    find_task = (tasks,) if tasks else ()
    zombie = TrialRun(attempt(epochs=3), *find_task)
    steps(zombie, 1)
    _, outcome = to_the_end(attempt(2, epochs=3, stored_step=1), tasks)
    newer = Path(attempt().trial_directory) / "2"
    before = content(newer)
    assert [one.step for one in zombie] == [2, 3]
    assert zombie.outcome().state is TrialState.SUCCEEDED
    assert content(newer) == before
    for file in outcome.files:
        assert sha256_of(newer / file.name) == file.sha256


def test_an_execution_under_a_number_that_exists_has_a_folder_of_its_own(attempt: Any) -> None:
    """A driver that died before it stored attempt 1 left a worker; the next driver gives the number again."""
    zombie = TrialRun(attempt(epochs=3), find)
    steps(zombie, 1)
    reported, outcome = to_the_end(attempt(epochs=3), find)
    assert (reported, {file.folder for file in outcome.files}) == ([2, 3], {"1.1"})
    newer = Path(attempt().trial_directory) / "1.1"
    before = content(newer)
    list(zombie)
    assert content(newer) == before


def test_files_of_an_earlier_version_are_taken_over(attempt: Any, make_task: Any) -> None:
    earlier = TrialRun(make_task(epochs=3))
    steps(earlier, 2)
    earlier.close()
    home = Path(make_task().directory)
    (home / "teacher").mkdir()
    (home / "teacher" / "complete.json").write_text("{}")
    reported, _ = to_the_end(attempt(2, epochs=3, stored_step=2))
    assert reported == [3]
    assert (home / "2" / "teacher" / "complete.json").exists()
    assert not (home / "2" / LOG).exists()


def test_no_file_of_an_attempt_has_a_second_name(attempt: Any) -> None:
    run = TrialRun(attempt())
    steps(run, 1)
    run.close()
    outcome = TrialRun(attempt(2)).stop()
    assert outcome.state is TrialState.STOPPED
    files = [path for path in Path(attempt().trial_directory).rglob("*") if path.is_file()]
    assert {path.stat().st_nlink for path in files} == {1}


@pytest.mark.parametrize("damage", ["checkpoint", "weights"])
def test_a_damaged_attempt_is_skipped_for_the_attempt_before(attempt: Any, damage: str) -> None:
    for number, stored in ((1, 0), (2, 1)):
        run = TrialRun(attempt(number, epochs=4, stored_step=stored))
        steps(run, 1)
        run.close()
    broken = Path(attempt().trial_directory) / "2" / (LAST if damage == "checkpoint" else MODEL)
    broken.unlink() if damage == "weights" else broken.write_bytes(broken.read_bytes()[:-10])
    trained = TrialRun(attempt(3, epochs=4, stored_step=1))
    assert [one.step for one in trained] == [2, 3, 4]
    log = (Path(attempt().trial_directory) / LOG).read_text()
    assert log.count("step 1:") == 1


def test_an_attempt_killed_while_it_took_over_files_is_no_source(attempt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = TrialRun(attempt(epochs=3), find)
    steps(run, 2)
    run.close()

    def kill(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(folders, "_copy", kill)
        with pytest.raises(KeyboardInterrupt):
            next(TrialRun(attempt(2, epochs=3, stored_step=2), find))
    reported, _ = to_the_end(attempt(3, epochs=3, stored_step=2), find)
    assert reported == [3]


def test_links_in_a_folder_are_not_followed(attempt: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    run = TrialRun(attempt(epochs=3), find)
    steps(run, 1)
    run.close()
    home = Path(attempt().trial_directory)
    (home / "1" / "link").symlink_to(tmp_path / "secret")
    to_the_end(attempt(2, epochs=3), find)
    assert not (home / "2" / "link").exists()


# ---- a checkpoint at the last step -----------------------------------------------------------------------------------


def test_an_attempt_whose_checkpoint_is_at_the_last_step_trains_nothing(
    attempt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its driver died before it stored the outcome: measurements and weights stay those of one training."""
    _, first = to_the_end(attempt())
    network = "workers.training.classification.run._Classification.__init__"
    monkeypatch.setattr(network, lambda *_, **__: pytest.fail("a network is trained"))
    reported, again = to_the_end(attempt(2, stored_step=2))
    assert (reported, again.state) == ([3], TrialState.SUCCEEDED)
    assert [file.sha256 for file in again.files] == [file.sha256 for file in first.files]


def test_a_trial_that_only_remains_to_be_stopped_keeps_the_files_of_the_attempt_before(attempt: Any) -> None:
    run = TrialRun(attempt())
    steps(run, 2)
    run.close()
    weights = sha256_of(Path(attempt().trial_directory) / "1" / MODEL)
    outcome = TrialRun(attempt(2, stored_step=2)).stop()
    assert outcome.state is TrialState.STOPPED
    assert {file.name: file.sha256 for file in outcome.files}[MODEL] == weights
    assert {file.folder for file in outcome.files} == {"2"}


# ---- digests ---------------------------------------------------------------------------------------------------------


def stored(outcome: Outcome) -> list[Artifact]:
    return [Artifact("t", file.name, file.path_in("j/t"), file.bytes, file.sha256, 0.0) for file in outcome.files]


def test_the_test_split_is_measured_with_the_stored_weights_alone(attempt: Any) -> None:
    task = attempt()
    _, outcome = to_the_end(task)
    metrics = run_test(task, stored(outcome))
    assert isinstance(metrics, dict)
    assert metrics["accuracy"] == pytest.approx(load(Path(task.directory) / MODEL).card.metrics["accuracy"], abs=0.2)
    weights = Path(task.directory) / MODEL
    weights.write_bytes(weights.read_bytes() + b" ")
    failed = run_test(task, stored(outcome))
    assert isinstance(failed, Outcome)
    assert failed.message == f"the stored file {weights} is damaged: its SHA-256 is not the one that was stored"
    weights.unlink()
    missing = run_test(task, stored(outcome))
    assert isinstance(missing, Outcome)
    assert missing.message == f"the stored file {weights} is missing"


def test_damaged_weights_are_no_result(attempt: Any) -> None:
    run = TrialRun(attempt())
    steps(run, 2)
    weights = Path(attempt().directory) / MODEL
    weights.write_bytes(b"other weights")
    outcome = run.stop()
    assert outcome.state is TrialState.FAILED
    assert str(outcome.message).startswith(f"{MODEL} of step ")


def test_damaged_weights_of_a_teacher_are_trained_again(tmp_path: Path) -> None:
    (tmp_path / MODEL).write_bytes(b"teacher")
    record = {"trial": "f", "seconds": 2.0, "sha256": sha256_of(tmp_path / MODEL)}
    (tmp_path / "complete.json").write_text(json.dumps(record))
    assert stages._seconds(tmp_path, "f") == 2.0
    (tmp_path / MODEL).write_bytes(b"changed")
    assert stages._seconds(tmp_path, "f") is None


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("", MODEL, True),
        ("2", MODEL, True),
        ("2.3", MODEL, True),
        ("1", MODEL, False),
        ("../2", MODEL, False),
        ("2/..", MODEL, False),
        ("2", "../model", False),
        ("2", "..", False),
    ],
)
def test_files_of_other_attempts_and_trials_are_no_results(folder: str, name: str, expected: bool) -> None:
    assert folders.has_made(2, FileMade(name, 1, "0" * 64, folder)) is expected

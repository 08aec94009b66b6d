"""Failures of file systems are a kind of their own, wherever they are in the chain of errors."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from searchsvc.domain import FailureKind, Measurement, TrialState, TrialTask
from searchsvc.errors import InvalidInput, below
from workers.tasks.classification import Classification
from workers.trials.failures import explained
from workers.trials.run_trial import TrialRun

NUMBERS = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE]


def full(number: int = errno.ENOSPC) -> OSError:
    return OSError(number, os.strerror(number))


def caught(action: Callable[[], Any]) -> Exception:
    try:
        action()
    except Exception as error:  # noqa: BLE001 - the error is the subject
        return error
    pytest.fail("nothing was raised")


def causing(outer: Exception, inner: Exception) -> Callable[[], None]:
    def action() -> None:
        raise outer from inner

    return action


def handling(outer: Exception, inner: Exception) -> Callable[[], None]:
    def action() -> None:
        try:
            raise inner
        except OSError:
            raise outer  # noqa: B904 - the implicit context is the subject

    return action


@pytest.mark.parametrize("number", NUMBERS, ids=os.strerror)
@pytest.mark.parametrize("chain", [causing, handling], ids=["cause", "context"])
@pytest.mark.parametrize("outer", [RuntimeError("torch"), InvalidInput.at("/x", "unreadable")], ids=repr)
def test_the_whole_chain_is_looked_at(number: int, chain: Any, outer: Exception) -> None:
    assert explained(full(number))[0] is FailureKind.STORAGE
    assert explained(caught(chain(outer, full(number))))[0] is FailureKind.STORAGE


def test_an_error_that_was_dealt_with_is_not_the_cause() -> None:
    def action() -> None:
        try:
            raise full()
        except OSError:
            raise ValueError("another matter") from None

    assert explained(caught(action))[0] is FailureKind.ERROR


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EPIPE], ids=os.strerror)
def test_other_errors_of_the_system_are_errors(number: int) -> None:
    assert explained(full(number))[0] is FailureKind.ERROR


def torch_to_file(tensor: torch.Tensor) -> None:
    with open("/dev/full", "wb") as device:
        torch.save({"weights": tensor}, device)


def numpy_to_file(tensor: torch.Tensor) -> None:
    with open("/dev/full", "wb", buffering=0) as device:
        np.save(device, tensor.numpy())


WRITES: dict[str, Callable[[torch.Tensor], Any]] = {
    "torch, path": lambda tensor: torch.save({"weights": tensor}, "/dev/full"),
    "torch, file": torch_to_file,
    "torch, legacy": lambda tensor: torch.save(tensor, "/dev/full", _use_new_zipfile_serialization=False),
    "numpy": numpy_to_file,
    "python": lambda tensor: Path("/dev/full").write_bytes(tensor.numpy().tobytes()),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_failed_writes_of_libraries_are_known(write: Callable[[torch.Tensor], Any]) -> None:
    assert explained(caught(lambda: write(torch.zeros(100_000))))[0] is FailureKind.STORAGE


@pytest.mark.parametrize(
    "message",
    ["I/O error: No space left on device (os error 28)", "3000000 requested and 249968 written"],
)
def test_messages_of_libraries_without_a_number_are_known(message: str) -> None:
    assert explained(Exception(message))[0] is FailureKind.STORAGE


def test_a_missing_folder_of_safetensors_is_an_error(tmp_path: Path) -> None:
    error = caught(lambda: save_file({"a": torch.zeros(1)}, tmp_path / "absent" / "file"))
    assert explained(error)[0] is FailureKind.ERROR


class Scripted(Classification):
    """Fails as it is told."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def train(self, task: TrialTask) -> Iterator[Measurement]:  # noqa: ARG002 - the protocol's
        yield Measurement(1, {"accuracy": 0.5}, 1.0)
        raise self._error


def test_a_full_disk_is_the_outcome_of_the_attempt(make_task: Any) -> None:
    run = TrialRun(make_task(), lambda _: Scripted(full()))
    assert len(list(run)) == 1
    assert (run.outcome().state, run.outcome().failure) == (TrialState.FAILED, FailureKind.STORAGE)
    assert "No space left" in str(run.outcome().message)


@pytest.mark.parametrize("name", ["mkdir", "open"])
def test_no_folder_and_no_log_on_a_full_disk_is_no_other_kind(
    make_task: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise full()

    task = make_task()
    if name == "mkdir":
        monkeypatch.setattr(Path, "mkdir", refuse)
    else:
        Path(task.directory).mkdir()
        monkeypatch.setattr("builtins.open", refuse)
    run = TrialRun(task)
    assert next(run, None) is None
    assert run.outcome().failure is FailureKind.STORAGE


def test_a_checkpoint_that_cannot_be_written_fails_the_attempt_as_storage(
    make_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise full(errno.EIO)

    monkeypatch.setattr(os, "fsync", refuse)
    run = TrialRun(make_task())
    assert next(run, None) is None
    assert run.outcome().failure is FailureKind.STORAGE
    assert not [path for path in Path(make_task().directory).iterdir() if path.name.endswith(".tmp")]


def broken_read(*_: Any, **__: Any) -> Any:
    raise full(errno.EIO)


@pytest.mark.parametrize("form", ["npz", "imagefolder"])
def test_a_dataset_on_a_broken_file_system_is_no_mistake_of_the_user(
    make_task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    if form == "npz":
        np.savez(tmp_path / "data", x_train=np.zeros((8, 8, 8), np.uint8), y_train=np.arange(8) % 2)
        path = tmp_path / "data.npz"
        monkeypatch.setattr("workers.data.classification.npz.open_confined", broken_read)
    else:
        path = tmp_path / "images"
        for split, label in [(split, label) for split in ("train", "val") for label in ("a", "b")]:
            (path / split / label).mkdir(parents=True)
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(path / split / label / "0.png")
        monkeypatch.setattr("workers.data.imagefiles.open_confined", broken_read)
    run = TrialRun(make_task(dataset={"name": "files", "format": form, "path": str(path)}))
    assert next(run, None) is None
    assert run.outcome().failure is FailureKind.STORAGE


def test_a_pointer_before_the_faults_of_an_error_keeps_its_cause() -> None:
    def action() -> None:
        with below("/dataset"):
            raise InvalidInput.at("/path", "cannot be read") from full()

    error = caught(action)
    assert str(error) == "/dataset/path: cannot be read"
    assert explained(error)[0] is FailureKind.STORAGE

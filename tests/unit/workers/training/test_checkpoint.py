"""The checkpoint and the files of its best step switch together, whatever is killed in between."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from searchsvc.domain import Measurement, TrialTask
from workers.training import trial
from workers.training.checkpoint import Checkpoints
from workers.trials import checkpoint_file

CPU = torch.device("cpu")
ACCURACIES = (0.1, 0.5, 0.2, 0.7, 0.3)


class Killed(BaseException):
    """Raised in place of a kill; no code catches it."""


class Counting:
    """A training whose weights are its epoch and its attempt, since a repeated epoch on a GPU has other weights."""

    def __init__(self, attempt: int, accuracies: tuple[float, ...] = ACCURACIES) -> None:
        self._attempt, self._accuracies, self._epoch = attempt, accuracies, 0

    def train_epoch(self, epoch: int) -> Mapping[str, float]:
        self._epoch = epoch
        return {}

    def measure(self) -> Mapping[str, float]:
        return {"accuracy": self._accuracies[self._epoch - 1]}

    def files(self, last: Measurement) -> Mapping[str, bytes]:
        content = f"epoch {last.step}, attempt {self._attempt}".encode()
        pictures = {f"boxes-{number}.png": content for number in range(last.step)}
        return {"model.safetensors": content, "predictions.npz": content, **pictures}

    def state(self) -> dict[str, Any]:
        return {"epoch": self._epoch}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._epoch = state["epoch"]


def trained(task: TrialTask, **how: Any) -> Iterator[Measurement]:
    return trial.run(task, CPU, lambda _: Counting(task.attempt, **how), clock=lambda: 0.0)


def killing_after(monkeypatch: pytest.MonkeyPatch, changes: int) -> Callable[[], int]:
    """Let the process end after a number of changes to the file system; return a function that counts them."""
    made = [0]

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            if made[0] >= changes:
                raise Killed
            made[0] += 1
            return change(*arguments, **options)

        return changed

    monkeypatch.setattr(os, "replace", counted(os.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    return lambda: made[0]


def described(folder: Path) -> tuple[int, set[str], set[bytes]]:
    """Return the step of the checkpoint, and names and contents of the other files."""
    state = Checkpoints(folder).load(CPU)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "last.pt"}
    return len(state["measured"]) if state else 0, set(files), set(files.values())


def expected_names(step: int) -> set[str]:
    return {"model.safetensors", "predictions.npz", *(f"boxes-{number}.png" for number in range(step))}


def test_a_kill_between_any_two_changes_leaves_files_of_the_checkpoint_alone(make_task: Any) -> None:
    """Attempt 1 is killed anywhere; in attempt 2 the epochs after the checkpoint are worse, so none is the best."""
    best = {0: 0, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4}
    ends = set()
    for changes in range(1, 200):
        task = make_task(f"killed-{changes}", epochs=len(ACCURACIES))
        with pytest.MonkeyPatch.context() as patched:
            made = killing_after(patched, changes)
            try:
                reported = [measured.step for measured in trained(task)]
            except Killed:
                reported = []
        if made() < changes:
            break
        step, names, contents = described(Path(task.directory))
        ends.add(step)
        assert names == (expected_names(best[step]) if step else set())
        assert contents == ({f"epoch {best[step]}, attempt 1".encode()} if step else set())
        worse = (*ACCURACIES[:step], *([0.0] * (len(ACCURACIES) - step)))
        list(trained(replace(task, attempt=2, stored_step=step), accuracies=worse))
        if step:
            assert described(Path(task.directory))[1:] == (names, contents)
    assert ends >= {0, 1, 2, 3, 4, 5}
    assert reported == [1, 2, 3, 4, 5]


def test_files_of_a_step_without_a_checkpoint_are_removed(make_task: Any) -> None:
    task = make_task()
    running = trained(task)
    next(running)
    running.close()  # type: ignore[attr-defined]
    checkpoint_file.of_step(Path(task.directory), 2, "model.safetensors").write_bytes(b"epoch 2")
    step, names, _ = described(Path(task.directory))
    assert (step, names) == (1, expected_names(1))


@pytest.mark.parametrize("damage", ["absent", "changed"])
def test_a_checkpoint_whose_weights_are_damaged_is_not_used(make_task: Any, damage: str) -> None:
    task = make_task()
    running = trained(task)
    next(running)
    running.close()  # type: ignore[attr-defined]
    weights = Path(task.directory) / "model.safetensors"
    weights.unlink() if damage == "absent" else weights.write_bytes(b"changed")
    assert Checkpoints(Path(task.directory)).load(CPU) is None
    assert [one.step for one in trained(replace(task, attempt=2))] == [1, 2, 3]
    assert weights.read_bytes() == b"epoch 2, attempt 2"


def test_a_checkpoint_of_an_earlier_version_is_continued(make_task: Any, tmp_path: Path) -> None:
    """Earlier versions wrote the content and its SHA-256 alone, next to files under their final names."""
    task = make_task()
    running = trained(task)
    next(running)
    running.close()  # type: ignore[attr-defined]
    stored = checkpoint_file.read(Path(task.directory))
    assert stored is not None
    assert stored.best is not None
    sealed = stored.content
    (Path(task.directory) / "last.pt").write_bytes(sealed + hashlib.sha256(sealed).digest())
    assert [one.step for one in trained(replace(task, attempt=2, stored_step=1))] == [2, 3]


def test_a_process_that_only_reads_changes_nothing(make_task: Any) -> None:
    task = make_task()
    running = trained(task)
    next(running)
    running.close()  # type: ignore[attr-defined]
    folder = Path(task.directory)
    part = checkpoint_file.of_step(folder, 2, "model.safetensors")
    part.write_bytes(b"epoch 2")
    (folder / ".x.tmp").write_bytes(b"part")
    assert Checkpoints(folder, writes=False).load(CPU) is not None
    assert part.exists()
    assert (folder / ".x.tmp").exists()

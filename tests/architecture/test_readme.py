"""The commands and code of the README work when they are copied."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from searchsvc.domain import Decision, Fidelity, JobSpec, Objective, TrialState, TrialTask
from searchsvc.service.documents.documents import load_document
from workers.tasks.classification import TASK
from workers.trials.run_trial import run_trial

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run_python(code: str, folder: Path) -> str:
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def task_in(folder: Path) -> TrialTask:
    return TrialTask(
        trial_id="readme",
        attempt=1,
        task="classification",
        dataset={"name": "digits"},
        values={},
        fidelity=Fidelity(epochs=1),
        objective=Objective(metric="accuracy"),
        seed=0,
        directory=str(folder),
    )


@pytest.fixture(scope="module")
def folder_with_a_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    assert run_trial(task_in(folder), lambda _: Decision.CONTINUE).state is TrialState.SUCCEEDED
    return (folder / "model.safetensors").rename(folder / "digits.safetensors").parent


def test_it_opens_with_the_two_commands() -> None:
    first = blocks("console")[0].splitlines()
    assert [line.split("#")[0].split() for line in first] == [["$", "make", "run"], ["$", "make", "test"]]


def test_three_lines_load_and_use_a_model(folder_with_a_model: Path) -> None:
    snippet = blocks("python")[0]
    assert len(snippet.splitlines()) == 3
    named = run_python(snippet, folder_with_a_model)
    assert re.fullmatch(r"\[('\d'(, )?){10}\]\n", named)


def test_the_quickstart_names_the_same_classes_by_weights_and_by_onnx(
    folder_with_a_model: Path, tmp_path: Path
) -> None:
    shutil.copy(folder_with_a_model / "digits.safetensors", tmp_path / "model.safetensors")
    TASK.export("onnx", task_in(tmp_path), tmp_path / "digits.onnx")
    by_weights, by_onnx = blocks("python", (ROOT / "docs/quickstart.md").read_text(encoding="utf-8"))
    named = run_python(by_weights, tmp_path)
    assert re.fullmatch(r"\[('\d'(, )?){10}\]\n", named)
    assert run_python(by_onnx, tmp_path) == named


def test_the_library_searches_in_ten_lines(tmp_path: Path) -> None:
    script = blocks("python")[1]
    assert len(script.split("\n\n", 1)[1].splitlines()) <= 10
    losses = [float(line.split()[0]) for line in run_python(script, tmp_path).splitlines()]
    assert len(losses) == 60
    assert min(losses) < 0.05


def test_the_spec_is_the_one_that_make_run_runs() -> None:
    [shown] = blocks("yaml")
    assert JobSpec.parse(load_document(shown)) == JobSpec.parse(
        load_document((ROOT / "examples/digits.yaml").read_text())
    )

"""A data folder written by an earlier version (commit 06ce1b9, before the rooms were moved) opens and continues.

`tests/data/written-by-06ce1b9.tar.xz` holds `data/`, a data folder with finished searches by fbnetv3, autohas and
random search (detectors), a search whose processes were killed while two trials trained, a search in the queue, and an
open relabelling; and `answers/`, the JSON that searchctl printed about them. Most weights are left out for size.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from api.cli.main import app
from searchsvc.domain import JobState, TrialState
from tests.support.driving import Rig
from workers.models import load, trained_detector

ARCHIVE = Path(__file__).parents[1] / "data/written-by-06ce1b9.tar.xz"

QUESTIONS = [
    *((verb, job) for job in ("joint", "scenes", "shared") for verb in ("show", "trials", "best", "pareto", "rounds")),
    *((verb, "broken-off") for verb in ("trials", "best", "pareto", "rounds")),
    ("distributions", "shared"),
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive, with the schema of its database upgraded as its reader must do first."""
    folder = tmp_path_factory.mktemp("archive")
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(folder, filter="data")
    searchctl(folder / "data", "db", "upgrade")
    return folder


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(tmp_path, filter="data")
    searchctl(tmp_path / "data", "db", "upgrade")
    rig = Rig(tmp_path / "data")
    yield rig
    rig.close()


def searchctl(data_dir: Path, *arguments: str) -> str:
    """Run searchctl in this process, without a service, on a data folder; return its output."""
    result = CliRunner(env={"SEARCHSVC_DATA_DIR": str(data_dir)}).invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def assert_holds(expected: Any, actual: Any, place: str = "") -> None:
    """Check that every key and value of the earlier answer is in today's; later versions may add keys."""
    if isinstance(expected, dict):
        assert expected.keys() <= actual.keys(), f"{place} lost {expected.keys() - actual.keys()}"
        for key, value in expected.items():
            assert_holds(value, actual[key], f"{place}/{key}")
    elif isinstance(expected, list):
        assert len(expected) == len(actual), place
        for index, value in enumerate(expected):
            assert_holds(value, actual[index], f"{place}/{index}")
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=1e-12), place
    else:
        assert actual == expected, place


@pytest.mark.parametrize(("verb", "job"), QUESTIONS, ids=lambda part: part)
def test_it_answers_as_the_earlier_version_did(archive: Path, verb: str, job: str) -> None:
    expected = json.loads((archive / f"answers/{job}-{verb}.json").read_text())
    assert_holds(expected, json.loads(searchctl(archive / "data", verb, job, "--json")))


@pytest.mark.parametrize("form", ["csv", "yaml"])
def test_its_trials_and_its_spec_are_exported_as_before(archive: Path, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"joint.{form}"
    searchctl(archive / "data", "export", "joint", "--format", {"yaml": "spec"}.get(form, form), "-o", str(file))
    assert file.read_text() == (archive / f"answers/joint.{form}").read_text()


def test_weights_of_a_classifier_predict_what_was_stored(archive: Path) -> None:
    [weights] = archive.glob("data/artifacts/*/01a22dcb-845f-70b3-8e4d-fca3c498db94/model.safetensors")
    digits = load_digits()
    names = load(weights).predict(digits.images.astype("uint8"))
    right = np.mean([int(name) == target for name, target in zip(names, digits.target, strict=True)])
    assert right == pytest.approx(0.66, abs=0.04)  # 0.672 on the validation images, 0.652 on the test images


def test_weights_of_a_detector_load(archive: Path) -> None:
    [weights] = archive.glob("data/artifacts/*/01a22dc9-a409-71d2-9962-63d8a5f9ef8d/model.safetensors")
    detector = trained_detector.load(weights)
    [detections] = detector.detect(torch.zeros((1, 3, detector.side, detector.side), dtype=torch.uint8))
    assert len(detections.labels) == len(detections.scores) <= 100


def test_its_relabelling_is_still_open(archive: Path) -> None:
    questions = json.loads(searchctl(archive / "data", "relabel", "joint", "--networks", "3", "--json"))
    assert questions["open"] == 688


def test_a_search_that_was_killed_continues_with_the_same_proposals(rig: Rig) -> None:
    [job] = [job for job in rig.store.jobs(after=None, limit=100) if job.spec.name == "broken-off"]
    before = {trial.id: trial for trial in rig.trials(job)}
    assert rig.finish(rig.start(job), job, timeout=200).state is JobState.SUCCEEDED
    after = {trial.id: trial for trial in rig.trials(job)}
    assert len(after) == 10
    assert {trial.state for trial in after.values()} <= {TrialState.SUCCEEDED, TrialState.STOPPED}
    for trial_id, trial in before.items():
        assert after[trial_id].proposal == trial.proposal
        if trial.state.is_final:
            assert after[trial_id].metrics == trial.metrics
    assert rig.events(job, "algorithm.diverged") == []

"""searchctl predict: images in files, given to the models of trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searchsvc.domain import Decision, Job, Measurement, TrialTask
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.detection import SMALLEST, pets
from tests.support.jobs import a_claimed_job, add_trials
from tests.unit.api.cli.conftest import Searchctl
from workers.trials.run_trial import run_trial


def trained(store: Store, home: Path, values: dict[str, Any], **spec: Any) -> Job:
    """A job whose trial 0 has a model, and whose trial 1 has not begun."""
    job, lease = a_claimed_job(store, fidelity={"epochs": 1}, **spec)
    first, _ = add_trials(store, lease, 2)
    directory = Settings(data_dir=home).trial_dir(job.id, first)
    measured: list[Measurement] = []
    task = TrialTask.of(job.spec, trial_id=first, number=0, values=values, directory=str(directory))
    outcome = run_trial(task, lambda one: measured.append(one) or Decision.CONTINUE)  # type: ignore[func-returns-value]
    writer = store.writer(lease)
    writer.start_attempt(first, 1, "node", 1, 0.0)
    writer.measure(first, measured[0], measured[0])
    writer.finish(first, 1, outcome, 0)
    writer.flush()
    return job


@pytest.fixture
def classifier(store: Store, home: Path) -> Job:
    return trained(store, home, {"width_1": 8, "width_2": 8, "width_3": 8}, objectives=[{"metric": "accuracy"}])


@pytest.fixture
def detector(store: Store, home: Path) -> Job:
    space = {"name": "detector-small"}
    section = pets(home.parent / "pets")
    return trained(store, home, SMALLEST, task="detection", dataset=section, space=space, objectives=[{"metric": "ap"}])


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "some.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return str(path)


@pytest.mark.usefixtures("classifier")
def test_a_classifier_tells_the_probability_of_every_class(searchctl: Searchctl, image: str) -> None:
    [answer] = searchctl("predict", "digits", image, "--json").document
    scores = [one["score"] for one in answer["findings"]]
    assert sorted(one["label"] for one in answer["findings"]) == list("0123456789")
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1.0, abs=1e-5)
    assert answer["picture"] is None
    lines = searchctl("predict", "digits", image).out.splitlines()
    assert lines[0] == image
    assert lines[1].split() == [answer["findings"][0]["label"], f"{scores[0]:.3f}"]
    refused = searchctl("predict", "digits", image, "--out", "drawn")
    assert (refused.code, "draw nothing" in refused.err) == (2, True)


@pytest.mark.usefixtures("detector")
def test_a_detector_draws_boxes_beside_the_image_or_elsewhere(searchctl: Searchctl, image: str, tmp_path: Path) -> None:
    answer = searchctl("predict", "digits", image, "--trial", "0", "--json")
    assert answer.code == 0, answer.err
    [prediction] = answer.document
    assert prediction["picture"] == str(tmp_path / "some.boxes.png")
    assert all(len(one["box"]) == 4 for one in prediction["findings"])
    assert searchctl("predict", "digits", image, "--out", str(tmp_path / "drawn")).code == 0
    with Image.open(tmp_path / "drawn" / "some.boxes.png") as picture:
        assert picture.size == (60, 40)
    twice = searchctl("predict", "digits", image, image)
    assert (twice.code, "several images would be drawn" in twice.err) == (2, True)


@pytest.mark.usefixtures("classifier")
def test_what_is_missing_or_no_image_is_told(searchctl: Searchctl, image: str, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    faults = {
        "text.png": searchctl("predict", "digits", str(tmp_path / "text.png")),
        "none.png": searchctl("predict", "digits", str(tmp_path / "none.png")),
    }
    for name, answer in faults.items():
        assert answer.code == 2
        assert name in answer.err
    without_weights = searchctl("predict", "digits", image, "--trial", "1")
    assert (without_weights.code, "has no weights" in without_weights.err) == (3, True)
    assert searchctl("predict", "nowhere", image).code == 3

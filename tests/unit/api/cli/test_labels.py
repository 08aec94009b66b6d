"""searchctl labels, reassess and relabel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from searchsvc.domain import Job
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.labels import a_labelled_job
from tests.unit.api.cli.conftest import SPEC, Searchctl
from workers.tasks.classification import TASK


@pytest.fixture
def doubted(store: Store, home: Path) -> Job:
    """Three trials; the second and third are wrong on images that the label file of the tests counts as right."""
    labels = TASK.validation({"name": "digits"}).labels
    answers = [labels.copy() for _ in range(3)]
    answers[1][:4] = answers[2][:8] = 5
    return a_labelled_job(Service(store, Settings(data_dir=home)), yaml.safe_load(SPEC), answers)


def test_a_label_file_is_counted(searchctl: Searchctl, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text("[[1], [], [2, 1], [7]]")
    document = searchctl("labels", str(tmp_path / "labels.json"), "--json").document
    assert document == {"lists": 4, "empty": 1, "labels": 4, "classes": 3, "sizes": {"0": 1, "1": 2, "2": 1}}
    text = searchctl("labels", str(tmp_path / "labels.json")).out
    assert "1 (25.00 %)" in text
    assert "1.000; of those with a label, 1.333" in text
    wrong = searchctl("labels", str(tmp_path / "absent.json"))
    assert (wrong.code, "absent.json cannot be read" in wrong.err) == (2, True)


def test_trials_are_ranked_by_a_label_file(searchctl: Searchctl, doubted: Job, tmp_path: Path) -> None:
    images = TASK.validation({"name": "digits"})
    rows = [f"{name},{5 if place < 8 else images.labels[place]}" for place, name in enumerate(images.names)]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    document = searchctl("reassess", doubted.name, "--labels", str(tmp_path / "labels.csv"), "--json").document
    assert [one["trial"] for one in document["items"]] == [2, 1, 0]
    text = searchctl("reassess", doubted.name, "--labels", str(tmp_path / "labels.csv"), "-k", "3").out
    assert "real accuracy, top 3" in text
    assert "287, of which 287 have a label" in text
    (tmp_path / "labels.csv").write_text("1,x\n")
    wrong = searchctl("reassess", doubted.name, "--labels", str(tmp_path / "labels.csv"))
    assert wrong.code == 2
    assert "/labels: has no entry for 287 of 287 validation images" in wrong.err


def test_questions_are_made_and_answers_written_as_a_file(
    searchctl: Searchctl, doubted: Job, store: Store, home: Path, tmp_path: Path
) -> None:
    before = searchctl("relabel", doubted.name, "--output", str(tmp_path / "out.csv"))
    assert (before.code, "searchctl relabel" in before.err) == (4, True)
    made = searchctl("relabel", doubted.name, "--networks", "3", "--json").document
    assert made["open"] == made["questions"] > 0
    service: Any = Service(store, Settings(data_dir=home))
    for question in service.labels.questions(doubted.id, "ann").items:
        service.labels.judge(doubted.id, "ann", question.image, question.label, not question.is_given)
    shown = searchctl("relabel", doubted.name, "--output", str(tmp_path / "out.json"))
    assert "ann" in shown.out
    written = json.loads((tmp_path / "out.json").read_text())
    assert len(written) == 287
    assert [written[name] for name in list(written)[7:9]] == [["5"], ["0"]]
    said = searchctl("reassess", doubted.name, "--labels", str(tmp_path / "out.json"), "--json").document
    assert said["counted"] == 287

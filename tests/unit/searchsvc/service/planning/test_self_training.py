"""Self-training in a spec: the wrapped task, the parameter of a space, teachers, and faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searchsvc.domain import Decision, JobSpec, TrialState, TrialTask
from searchsvc.errors import InvalidInput
from searchsvc.service.planning.blueprint import Blueprint
from searchsvc.service.planning.resolve import resolve
from searchsvc.settings import Settings
from workers.trials.run_trial import run_trial

Document = dict[str, Any]
Resolved = Callable[..., Blueprint]
PART = {"epochs": 1, "data_fraction": 0.1}
AROUND = {"around": "classification"}
SMALL = {"stem_width": 8, "width_1": 8, "width_2": 16, "width_3": 32, "depth_2": 1, "depth_3": 1}


@pytest.fixture
def resolved(document: Document, settings: Settings) -> Resolved:
    def make(*, trusted: bool = True, **changes: Any) -> Blueprint:
        whole = {**document, "constraints": [], "fidelity": PART, **changes}
        return resolve(JobSpec.parse(whole), trusted=trusted, settings=settings)

    return make


def inline(*choices: bool) -> Document:
    return {
        "parameters": [
            {"name": "self_training", "type": "categorical", "choices": list(choices)},
            {
                "name": "pseudo_labels",
                "type": "categorical",
                "choices": ["soft", "hard"],
                "when": {"self_training": True},
            },
            {
                "name": "self_training_alpha",
                "type": "float",
                "low": 0.25,
                "high": 4.0,
                "log": True,
                "when": {"self_training": True},
            },
        ]
    }


def test_a_job_of_the_task_self_training_is_one_of_the_task_around(resolved: Resolved) -> None:
    blueprint = resolved(task="self_training", self_training=AROUND)
    assert (blueprint.task.name, blueprint.spec.task) == ("classification", "classification")
    assert blueprint.constants == {"self_training": True}
    assert blueprint.self_training is not None
    assert blueprint.self_training.unlabelled is None
    stored = JobSpec.parse(blueprint.spec.document())
    assert stored == blueprint.spec
    again = resolved(**blueprint.spec.document())
    assert (again.spec, again.self_training) == (blueprint.spec, blueprint.self_training)


def test_one_search_can_have_both(resolved: Resolved) -> None:
    for task, section in (("classification", {}), ("self_training", AROUND)):
        blueprint = resolved(task=task, self_training=section, space=inline(False, True))
        assert blueprint.constants == {}
        assert blueprint.space["self_training"].choices == (False, True)


def test_what_is_proposed_is_taught(resolved: Resolved, tmp_path: Path) -> None:
    blueprint = resolved(task="self_training", self_training=AROUND, space={"name": "mbconv-small", "fix": SMALL})
    measured: list[dict[str, float]] = []
    task = TrialTask.of(
        blueprint.spec,
        trial_id="0",
        number=0,
        values={**blueprint.constants, **SMALL, "pseudo_threshold": 0.0},
        directory=str(tmp_path),
        self_training=blueprint.self_training,
    )
    outcome = run_trial(task, lambda one: measured.append(dict(one.metrics)) or Decision.CONTINUE)
    assert outcome.state is TrialState.SUCCEEDED, outcome.message
    assert measured[0]["pseudo_kept"] == 1.0
    assert resolved(
        task="self_training",
        self_training={**AROUND, "teacher": {"file": str(tmp_path / "teacher" / "model.safetensors")}},
    ).self_training.teacher.sha256  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "pointer", "said"),
    [
        ({"task": "self_training"}, "/self_training", "needs it: {around: TASK}"),
        ({"task": "self_training", "self_training": {}}, "/self_training/around", "one of classification, detection"),
        ({"task": "self_training", "self_training": {"around": "walking"}}, "/self_training/around", "one of class"),
        ({"self_training": {"around": "detection"}}, "/self_training/around", "the task is classification"),
        ({"self_training": {}}, "/self_training", "no trial would be self-trained"),
        ({"space": inline(False, True)}, "/self_training", "is missing"),
        ({"space": inline(True), "self_training": {"rounds": 0}}, "/self_training/rounds", "must be at least 1, not 0"),
        ({"space": inline(True), "self_training": {"unlabelled": "all"}}, "/self_training/unlabelled", "must be rest"),
        (
            {"space": inline(True), "self_training": {}, "fidelity": {"epochs": 1}},
            "/self_training/unlabelled",
            "no training image is left outside a data fraction of 1",
        ),
        (
            {"space": inline(True), "self_training": {"teacher": {"timm": "resnet18"}}},
            "/self_training/teacher/timm",
            "a model that a trial has trained",
        ),
        (
            {"space": inline(True), "self_training": {"teacher": {"job": "none"}}},
            "/self_training/teacher/job",
            "jobs cannot be looked up here",
        ),
        (
            {"space": inline(True), "self_training": {"unlabelled": {"format": "images", "path": "/nowhere"}}},
            "/self_training/unlabelled/path",
            "there is no file or folder",
        ),
        (
            {"space": {"name": "fbnetv3-small", "fix": {"self_training": True}}, "self_training": {}}
            | {"algorithm": {"name": "autohas"}},
            "/self_training",
            "autohas trains a supernet",
        ),
    ],
)
def test_what_cannot_be_had_is_named(resolved: Resolved, changes: Document, pointer: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        resolved(**changes)
    assert pointer in [one.pointer for one in caught.value.faults]


def fraction(*choices: float, **fields: Any) -> Document:
    return {"name": "data_fraction", "type": "categorical", "choices": list(choices), **fields}


def with_self_training(*parameters: Document, **of_self_training: Any) -> Document:
    """Return a space of trials with and without pseudo-labels, which also differ in these parameters."""
    first, *others = inline(False, True)["parameters"]
    return {"parameters": [{**first, **of_self_training}, *others, *parameters]}


WHOLE = {"epochs": 1, "data_fraction": 1.0}


@pytest.mark.parametrize(
    ("space", "fidelity"),
    [
        (with_self_training(fraction(0.1, 1.0)), WHOLE),
        (with_self_training({"name": "data_fraction", "type": "float", "low": 0.1, "high": 1.0}), WHOLE),
        (with_self_training(fraction(0.1, 0.2, when={"self_training": False})), WHOLE),
        (with_self_training(fraction(0.1, 0.9999)), WHOLE),
    ],
    ids=["choice", "range", "only without", "nearly all"],
)
def test_a_self_trained_trial_that_could_have_all_labels_is_refused(
    resolved: Resolved, space: Document, fidelity: Document
) -> None:
    said = "no training image is left outside a data fraction of .*: keep `fidelity.data_fraction` or the parameter"
    with pytest.raises(InvalidInput, match=said) as caught:
        resolved(space=space, self_training={}, fidelity=fidelity)
    assert [one.pointer for one in caught.value.faults] == ["/self_training/unlabelled"]


@pytest.mark.parametrize(
    ("space", "fidelity"),
    [
        (with_self_training(fraction(0.1, 1.0)), PART),
        (with_self_training(fraction(0.1, 0.2, when={"self_training": True})), WHOLE),
        (with_self_training(fraction(0.1, 1.0), when={"data_fraction": [0.1]}), WHOLE),
    ],
    ids=["of a part", "only with", "self-trained on a part"],
)
def test_trials_without_pseudo_labels_may_have_all_labels(
    resolved: Resolved, space: Document, fidelity: Document
) -> None:
    assert resolved(space=space, self_training={}, fidelity=fidelity).self_training is not None


def test_a_stranger_reads_only_what_lies_below_the_data_roots(
    resolved: Resolved, settings: Settings, tmp_path: Path
) -> None:
    [root] = settings.data_roots
    for folder in (root / "images", tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
        Image.fromarray(np.full((8, 8), 3, np.uint8)).save(folder / "0.png")
    section = {"unlabelled": {"format": "images", "path": "images"}}
    blueprint = resolved(trusted=False, space=inline(True), self_training=section)
    assert blueprint.spec.self_training is not None
    assert blueprint.spec.self_training.unlabelled.path == str(root / "images")  # type: ignore[union-attr]
    section["unlabelled"]["path"] = str(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput, match="/self_training/unlabelled/path: must lie under one of the data roots"):
        resolved(trusted=False, space=inline(True), self_training=section)

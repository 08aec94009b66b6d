"""Submitting: all faults of a job are reported at once, each with its place, and nothing is stored."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searchsvc.domain import new_id
from searchsvc.errors import InvalidInput
from searchsvc.service.service import Service

Document = dict[str, Any]
_INLINE_LR = {"type": "float", "name": "lr", "low": 1e-4, "high": 0.1, "log": True}


def _faults(service: Service, document: Document, *, trusted: bool = False) -> dict[str, str]:
    """Return messages by pointer, and check that nothing was stored."""
    with pytest.raises(InvalidInput) as refused:
        service.jobs.submit(document, trusted=trusted)
    assert service.jobs.page().items == ()
    assert service.events.last_sequence() == 0
    return {fault.pointer: fault.message for fault in refused.value.faults}


@pytest.mark.parametrize(
    ("changes", "pointer", "said"),
    [
        ({"colour": 1}, "/colour", "unknown key"),
        ({"budget": {"trials": 4, "minutes": 3}}, "/budget/minutes", "unknown key"),
        ({"budget": {"trials": "many"}}, "/budget/trials", "must be a whole number"),
        ({"objectives": "accuracy"}, "/objectives", "must be a list"),
        ({"budget": {"trials": 0}}, "/budget/trials", "must be at least 1"),
        ({"budget": {"trials": 4, "seconds": math.nan}}, "/budget/seconds", "must be a finite number"),
        ({"budget": {"trials": 10**30}}, "/budget/trials", "too large a whole number"),
        ({"seed": 2**63 - 1, "budget": {"trials": 10**9}}, "/budget/trials", "must be at most 10,000,000"),
        ({"constraints": [{"metric": "flops", "max": math.inf}]}, "/constraints/0/max", "finite"),
        ({"space": {"parameters": []}}, "/space/parameters", "an empty space has nothing to search"),
        ({"task": "clasification"}, "/task", "no task 'clasification'; there are"),
        ({"space": {"name": "mbconv"}}, "/space/name", "no space 'mbconv'; there are detector, "),
        ({"space": {"name": "mbconv-small", "fix": {"lr": 7.0}}}, "/space/fix/lr", "lr must lie from"),
        ({"space": {"name": "mbconv-small", "fix": {"depth": 1}}}, "/space/fix/depth", "no such parameter"),
        ({"space": {"name": "mbconv-small", "narrow": {"lr": {"low": 9}}}}, "/space/narrow/lr", "lr must lie from"),
        (
            {"space": {"name": "mbconv-small", "fix": {"lr": 0.01}, "narrow": {"lr": {"low": 0.01}}}},
            "/space/narrow/lr",
            "is fixed already",
        ),
        (
            {"space": {"parameters": [{**_INLINE_LR, "name": "weight_dec"}]}},
            "/space/parameters/0/name",
            "does not know 'weight_dec'; did you mean weight_decay?",
        ),
        (
            {"space": {"parameters": [_INLINE_LR, _INLINE_LR]}},
            "/space/parameters/1/name",
            "occurs twice",
        ),
        (
            {"space": {"parameters": [{"type": "categorical", "name": "optimizer", "choices": [1, 2]}]}},
            "/space/parameters/0/choices",
            "the task takes texts for optimizer",
        ),
        ({"algorithm": {"name": "tpee"}}, "/algorithm/name", "did you mean 'tpe'"),
        ({"algorithm": {"name": "random", "batch": 3}}, "/algorithm/batch", "unknown option"),
        ({"stopping": {"name": "ash"}}, "/stopping/name", "asha"),
        ({"stopping": {"name": "asha", "reduction": 1}}, "/stopping/reduction", "must be at least 2"),
        ({"stopping": {"name": "asha", "min_epochs": 3}}, "/stopping/min_epochs", "a trial has 2 epochs"),
        ({"objectives": [{"metric": "acc"}]}, "/objectives/0/metric", "does not measure 'acc'; did you mean"),
        ({"objectives": [{"metric": "flops", "goal": "minimize"}]}, "/objectives/0/metric", "known before training"),
        (
            {"constraints": [{"metric": "latency", "max": 1}]},
            "/constraints/0/metric",
            "does not measure 'latency'; there are accuracy, flops, loss, params",
        ),
        ({"dataset": {"name": "cifar"}}, "/dataset/name", "digits"),
        ({"dataset": {"name": "digits", "path": "no format"}}, "/dataset/path", "unknown key"),
        ({"dataset": {"format": "coco", "path": "x"}}, "/dataset/format", "imagefolder"),
    ],
)
def test_a_fault_is_named_with_its_place(
    service: Service, document: Document, changes: Document, pointer: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "data" / "x").mkdir(parents=True)
    faults = _faults(service, {**document, **changes})
    assert said in faults[pointer]


def test_all_faults_are_named_at_once(service: Service, document: Document) -> None:
    wrong = {
        "dataset": {"name": "nothing"},
        "space": {"name": "mbconv-small", "fix": {"lr": -1}},
        "algorithm": {"name": "tpee"},
        "stopping": {"name": "asha", "reduction": 0},
        "objectives": [{"metric": "acuracy"}],
    }
    pointers = {"/dataset/name", "/space/fix/lr", "/algorithm/name", "/stopping/reduction", "/objectives/0/metric"}
    assert set(_faults(service, {**document, **wrong})) == pointers


def test_a_constraint_that_nothing_meets_is_refused_with_the_nearest_value(
    service: Service, document: Document
) -> None:
    limits = [{"metric": "flops", "max": 10}, {"metric": "params", "min": 1e12}, {"metric": "params", "max": 1e12}]
    faults = _faults(service, {**document, "constraints": limits})
    assert faults["/constraints/0"].startswith(
        "flops <= 10 cannot be reached: the smallest flops found in this space is 1"
    )
    assert "params >= 1e+12 cannot be reached: the largest params found" in faults["/constraints/1"]
    assert "/constraints/2" not in faults


def test_constraints_that_exclude_each_other_are_refused(service: Service, document: Document) -> None:
    limits = [{"metric": "flops", "max": 25_000}, {"metric": "params", "min": 50_000}]
    faults = _faults(service, {**document, "constraints": limits})
    assert "no candidate meets flops <= 25000 and params >= 50000 together" in faults["/constraints"]


def test_a_constraint_that_few_candidates_meet_is_accepted(service: Service, document: Document) -> None:
    rare = {**document, "constraints": [{"metric": "flops", "max": 21_000}]}
    assert service.jobs.submit(rare)[1]


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "..", "link", "a/../../x"])
def test_a_path_that_leads_out_of_the_data_roots_is_refused(
    service: Service, document: Document, path: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to("/etc/passwd")
    faults = _faults(service, {**document, "dataset": {"format": "npz", "path": path}})
    assert "must lie under one of the data roots" in faults["/dataset/path"]


def test_an_option_that_leads_out_of_the_dataset_is_refused(
    service: Service, document: Document, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    dataset = {"format": "npz", "path": "x.npz", "labels": "../secret"}
    assert "must not lead out" in _faults(service, {**document, "dataset": dataset})["/dataset/labels"]


def test_a_dataset_that_is_not_there_is_refused(service: Service, document: Document, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    faults = _faults(service, {**document, "dataset": {"format": "imagefolder", "path": "flowers"}})
    assert faults["/dataset/path"] == f"there is no file or folder {tmp_path}/data/flowers"


def _images(folder: Path, count: int = 20) -> None:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(generator.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / f"{number}.png")


def test_a_corrupt_image_is_named(service: Service, document: Document, tmp_path: Path) -> None:
    root = tmp_path / "data" / "flowers"
    _images(root / "rose")
    _images(root / "tulip")
    (root / "tulip" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    faults = _faults(service, {**document, "dataset": {"format": "imagefolder", "path": "flowers"}})
    assert "tulip/3.png" in faults["/dataset/path"]


def test_a_class_without_images_is_named(service: Service, document: Document, tmp_path: Path) -> None:
    root = tmp_path / "data" / "flowers"
    _images(root / "rose")
    (root / "tulip").mkdir()
    faults = _faults(service, {**document, "dataset": {"format": "imagefolder", "path": "flowers"}})
    assert "tulip" in faults["/dataset/path"]


def test_a_job_is_stored_with_the_path_that_was_found(
    service: Service, document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "elsewhere" / "flowers"
    for name in ("rose", "tulip"):
        _images(root / name)
    monkeypatch.chdir(tmp_path)
    changed = {**document, "dataset": {"format": "imagefolder", "path": "elsewhere/flowers"}}
    assert "/dataset/path" in _faults(service, changed)
    job, _ = service.jobs.submit(changed, trusted=True)
    assert job.spec.document()["dataset"]["path"] == os.path.realpath(root)


def test_a_request_that_is_tried_again_is_answered_before_anything_is_looked_up(
    service: Service, document: Document
) -> None:
    owner, request_id = service.access.create("me")[0], new_id()
    first, new = service.jobs.submit(document, request_id=request_id, owner=owner)
    again, new_again = service.jobs.submit({"no": "spec any more"}, request_id=request_id, owner=owner)
    assert (new, new_again, again.id) == (True, False, first.id)
    assert (first.owner, first.owner_id) == ("me", owner.id)
    assert service.jobs.clone("a job that is deleted", {}, request_id=request_id) == first


def test_a_clone_is_the_same_job_with_changes_and_is_validated_whole(service: Service, document: Document) -> None:
    job, _ = service.jobs.submit(document)
    clone = service.jobs.clone(job.id, {"name": "again", "constraints": None, "budget": {"seconds": 60}})
    assert (clone.spec.name, clone.spec.constraints, clone.spec.budget.trials) == ("again", (), 12)
    with pytest.raises(InvalidInput, match="/budget/trials"):
        service.jobs.clone(job.id, {"budget": {"trials": None}})


def test_an_extension_only_grows_and_is_checked(service: Service, document: Document) -> None:
    job, _ = service.jobs.submit(document)
    assert service.jobs.extend(job.id, trials=20).spec.budget.trials == 20
    with pytest.raises(InvalidInput, match="/trials"):
        service.jobs.extend(job.id, trials=3)
    with pytest.raises(InvalidInput, match="/seconds: must be a finite number"):
        service.jobs.extend(job.id, seconds=math.inf)
    with pytest.raises(InvalidInput, match="name the new budget"):
        service.jobs.extend(job.id)

"""Studies go on where they were interrupted, and compare what they say that they compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.studies import detection
from benchmarks.studies.data import Data, scenes
from benchmarks.studies.rows import Kept
from searchsvc.domain import DatasetInfo
from searchsvc.spaces import catalogue
from searchsvc.spaces.networks import completed

INFO = DatasetInfo("scenes", tuple("0123456789"), (3, 128, 128), {"train": 200, "validation": 60, "test": 60})


def row(arm: str) -> dict[str, Any]:
    return {"dataset": "scenes", "seed": 0, "kind": "part", "arm": arm}


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    Kept(path, str, quick=False, fresh=False).add(row("b"))
    kept = Kept(path, str, quick=False, fresh=False)
    pieces = {("scenes", 0, "part", arm): arm for arm in "ab"}
    assert kept.missing(pieces) == ["a"]
    kept.add(row("a"))
    assert [one["arm"] for one in json.loads(path.read_text())] == ["a", "b"]
    assert Kept(path, str, quick=False, fresh=True).missing(pieces) == ["a", "b"]


def test_a_quick_run_leaves_the_results_alone(tmp_path: Path) -> None:
    Kept(tmp_path / "rows.json", str, quick=True, fresh=False).add(row("a"))
    assert not (tmp_path / "rows.json").exists()


@pytest.mark.parametrize("part", detection.PARTS, ids=lambda one: one.name)
def test_every_part_of_a_detector_can_be_trained(part: detection.Part) -> None:
    known = completed({**catalogue.find(detection.SPACE).constants, **detection.VALUES, **part.values})
    assert detection.flops_of(known, INFO) > 0


def test_the_control_of_the_recursive_pyramid_costs_what_it_costs() -> None:
    values = {**catalogue.find(detection.SPACE).constants, **detection.VALUES}
    wider = {**values, **detection.as_many_flops(values, {**values, **detection.RFP}, INFO)}
    ratio = detection.flops_of(wider, INFO) / detection.flops_of({**values, **detection.RFP}, INFO)
    assert ratio == pytest.approx(1.0, abs=0.05)


def test_parts_are_trained_once_per_seed_on_each_dataset() -> None:
    data: Data = scenes(1, 0, 0)
    keys = [key for seed in detection.SEEDS for key in detection.parts(data, seed)]
    assert len(set(keys)) == len(keys) == len(detection.PARTS) * len(detection.SEEDS)

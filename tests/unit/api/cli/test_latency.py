"""searchctl latency: measure on this device, list stored tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.latency import small_table
from tests.unit.api.cli.conftest import Searchctl


def test_a_table_is_measured_stored_and_listed(searchctl: Searchctl, home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    made = searchctl("latency", "--seconds", "1", "--check", "2", "--name", "here", "--output", str(copy), "--json")
    assert made.code == 0, made.err
    assert made.document["operators"] == 744
    assert made.document["check"]["networks"] == 2
    assert copy.read_bytes() == (home / "latency" / "here.json").read_bytes()
    assert searchctl("latency", "--list", "--json").document == [made.document]
    assert "here" in searchctl("latency", "--list").out


def test_a_name_in_use_is_refused_before_anything_is_measured(searchctl: Searchctl, home: Path) -> None:
    (home / "latency").mkdir()
    (home / "latency" / "fbnetv3-small-cpu.json").write_bytes(small_table().serialised)
    refused = searchctl("latency")
    assert refused.code == 4
    assert "pass --replace" in refused.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--shape", "3,224"), "/shape: three numbers"),
        (("--dataset", "cifar"), "no dataset name 'cifar'"),
        (("--space", "mbconv-small"), "mbconv is not cut into operators"),
        (("--check", "1"), "/check: "),
    ],
)
def test_what_cannot_be_measured_is_told(
    searchctl: Searchctl, home: Path, arguments: tuple[str, ...], said: str
) -> None:
    refused = searchctl("latency", *arguments)
    assert refused.code == 2
    assert said in refused.err
    assert not (home / "latency").exists()


def test_an_unknown_space_is_not_found(searchctl: Searchctl) -> None:
    assert searchctl("latency", "--space", "resnet").code == 3


def test_a_spoiled_table_is_told_by_its_file(searchctl: Searchctl, home: Path) -> None:
    (home / "latency").mkdir()
    (home / "latency" / "odd.json").write_text(json.dumps({"format": "searchsvc-latency/1"}))
    refused = searchctl("latency", "--list")
    assert refused.code == 2
    assert "odd.json is no searchsvc-latency/1 table" in refused.err

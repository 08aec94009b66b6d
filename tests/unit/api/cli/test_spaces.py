"""searchctl spaces: the table, and the counts of networks written as rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.api.cli.conftest import Searchctl

ROWS = """
name: mine
resolution: 32
rows:
  - {stage: 0, op: conv, k: 3, c: 16, s: 2}
  - {stage: 1, op: mb, k: 3, c: 16, e: 4, n: 2, s: 2, se: true}
  - {stage: 2, op: mbpool, c: 64, e: 6}
"""


def test_the_shipped_spaces_are_listed(searchctl: Searchctl) -> None:
    names = [one["name"] for one in searchctl("spaces", "--json").document]
    classifiers = ["mbconv-small", "fbnetv3", "fbnetv3-released", "fbnetv3-small", "resnet-small"]
    assert names == [*classifiers, "detector", "detector-small"]
    assert "23,274,984,903,001,767,936,000,000" in searchctl("spaces").out


def test_a_shipped_network_is_counted_in_both_conventions(searchctl: Searchctl) -> None:
    document = searchctl("spaces", "build", "--rows", "fbnetv3-a", "--json").document
    assert (document["published_params"], document["published_flops"]) == (8_542_224, 356_598_280)
    assert (document["params"], document["flops"]) == (8_598_464, 355_514_328)
    assert document["sides"][-1] == [6, 6]


def test_a_file_is_counted_for_other_images_and_classes(searchctl: Searchctl, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(ROWS)
    arguments = ["--rows", "mine.yaml", "--resolution", "64", "--classes", "10", "--channels", "1"]
    document = searchctl("spaces", "build", *arguments, "--json").document
    assert document["sides"] == [[32, 32], [16, 16]]
    out = searchctl("spaces", "build", *arguments).out
    assert "mine at 64 x 64 px, 10 classes" in out
    assert f"{document['flops']:,}" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [(ROWS.replace("k: 3, c: 16, e", "k: 2, c: 16, e"), "/rows/1/k: k must be odd, not 2"), ("[1]", "holds no rows")],
)
def test_wrong_rows_are_named(searchctl: Searchctl, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    answer = searchctl("spaces", "build", "--rows", "mine.yaml")
    assert answer.code == 2
    assert message in answer.err


def test_an_unknown_name_lists_the_known(searchctl: Searchctl) -> None:
    answer = searchctl("spaces", "build", "--rows", "fbnetv3-z")
    assert answer.code == 3
    assert "no file fbnetv3-z, and no such definition; there are fbnetv3-a, fbnetv3-a0" in answer.err

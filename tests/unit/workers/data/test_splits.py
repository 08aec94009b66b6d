"""Names of splits."""

from __future__ import annotations

import pytest

from workers.data.splits import split_of


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (("train", "training", "Train", "TRAINING"), "train"),
        (("val", "valid", "validation", "Val", "VALID"), "validation"),
        (("test", "testing", "Test"), "test"),
        (("trains", "tester", "cat", "", "value", "validate", "dev", "train2", " train"), None),
    ],
)
def test_the_usual_names_of_splits_are_known_in_any_case(names: tuple[str, ...], split: str | None) -> None:
    assert {split_of(name) for name in names} == {split}

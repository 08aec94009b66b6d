"""Values as short texts for people."""

from __future__ import annotations

import pytest

from api import text


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("flops", 1_234_567.0, "1.23 M"),
        ("flops", 950.0, "950"),
        ("flops", 999_900.0, "1 M"),
        ("params", 18_700, "18.7 k"),
        ("flops", 4.2e12, "4.2 T"),
        ("accuracy", 0.98765, "0.9877"),
        ("accuracy", 0.0, "0.0000"),
        ("loss", 0.0000123, "1.23e-05"),
        ("loss", 12345.6, "1.235e+04"),
        ("train_seconds", 65.0, "1 min 05 s"),
        ("accuracy", None, "-"),
    ],
)
def test_metrics_have_units_and_few_digits(metric: str, value: float | None, shown: str) -> None:
    assert text.quantity(metric, value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.42, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.0, "59 min 59 s"),
        (7_800.0, "2 h 10 min"),
        (273_600.0, "3 d 4 h"),
        (None, "-"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float | None, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_a_number_stands_with_its_noun() -> None:
    assert [text.numbered(number, "trial") for number in (0, 1, 1200)] == ["0 trials", "1 trial", "1,200 trials"]


def test_times_are_told_relative_to_now() -> None:
    assert text.ago("2026-01-01T00:00:00Z", now=1_767_225_660.0) == "1 min 00 s ago"
    assert text.ago(1000.0, now=999.0) == "0.0 s ago"
    assert text.ago(None, now=0.0) == "-"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "true"), (0.000123456, "0.0001235"), (7, "7"), ("sgd", "sgd"), (None, "-"), ([0.5123456, 1], "0.5123, 1")],
)
def test_parameters_are_shown_as_a_spec_writes_them(value: object, shown: str) -> None:
    assert text.value(value) == shown

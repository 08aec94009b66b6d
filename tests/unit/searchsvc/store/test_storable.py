"""Values that a database would refuse, change or lose are reported with their place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from searchsvc.errors import Unstorable
from searchsvc.store.storable import check_row, document_of, metrics_of
from searchsvc.store.tables import artifacts, attempts, measurements, trials

_LOOP: list[Any] = []
_LOOP.append(_LOOP)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": math.nan}, "document/a: nan .* is not a finite number"),
        ({"a": [1.0, -math.inf]}, "document/a/1: -inf .* is not a finite number"),
        ({"a": np.float32(0.5)}, r"document/a: .*float32.* is not plain data; convert"),
        ({"a": np.int64(5)}, "document/a: .*int64"),
        ({"a": np.array([1.0])}, "document/a: .*ndarray"),
        ({1: "a"}, "document: 1 .* is not a text, as keys must be"),
        ({"a": {None: 1}}, "document/a: None .* is not a text"),
        ({"a": {1, 2}}, "document/a: .*set"),
        ({"a": b"bytes"}, "document/a: .*bytes"),
        ({"a": 10**400}, "document/a: a whole number of more than 63 bits is not a finite number"),
        ({"a": object()}, "document/a: .*object"),
        (_LOOP, "more than 50 levels deep"),
        ("x" * 10_000_001, "characters of JSON are too much"),
    ],
)
def test_a_document_that_json_cannot_hold_is_refused_at_its_place(value: Any, said: str) -> None:
    with pytest.raises(Unstorable, match=said):
        document_of(value)


def test_plain_documents_are_copied() -> None:
    document: dict[str, Any] = {"a": [1, 2.5, True, None, "\0 \ud800 ü"], "b": {"c": {}}, "d": 2**62}
    copy = document_of(document)
    assert copy == document
    document["a"].append(1)
    assert copy != document


@pytest.mark.parametrize(
    "metrics",
    [{"a": "0.5"}, {"a": None}, {"a": [1.0]}, [1.0], None, 0.5, {"a\0": 1.0}, {"\ud800": 1.0}, {"a\nb": 1.0}],
)
def test_metrics_are_numbers_with_printable_names(metrics: Any) -> None:
    with pytest.raises(Unstorable):
        metrics_of(metrics)


@pytest.mark.parametrize(
    ("table", "row", "place"),
    [
        (measurements, {"step": 2**31}, "measurements.step"),
        (measurements, {"step": True}, "measurements.step"),
        (measurements, {"step": 1.0}, "measurements.step"),
        (measurements, {"seconds": math.nan}, "measurements.seconds"),
        (measurements, {"seconds": None}, "measurements.seconds"),
        (measurements, {"metrics": {"a": math.inf}}, "measurements.metrics/a"),
        (trials, {"in_full": 1}, "trials.in_full"),
        (trials, {"reason": 5}, "trials.reason"),
        (trials, {"reason": "x" * 1_000_001}, "trials.reason"),
        (attempts, {"pid": 2**40}, "attempts.pid"),
        (artifacts, {"sha256": "a" * 65}, "artifacts.sha256"),
        (artifacts, {"sha256": "\0"}, "artifacts.sha256"),
        (artifacts, {"bytes": 2**63}, "artifacts.bytes"),
        (artifacts, {"name": "ü" * 128}, "artifacts.name"),
    ],
)
def test_a_value_that_does_not_fit_its_column_is_refused(table: Any, row: dict[str, Any], place: str) -> None:
    with pytest.raises(Unstorable, match=rf"^{place}: "):
        check_row(table, row)


def test_what_fits_passes() -> None:
    check_row(measurements, {"step": 2**31 - 1, "seconds": 5, "metrics": {"größe": 1, "b": True, "c": np.float64(0.5)}})
    check_row(artifacts, {"name": "a" * 255, "bytes": 2**62, "sha256": "a" * 64})
    check_row(attempts, {"node": None, "pid": None, "message": "\0 \ud800"})

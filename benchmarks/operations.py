"""CPU seconds of operations on costs, documents and data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.cpu_seconds import alone, scaled
from benchmarks.report import Row
from searchsvc.algorithms.ranking import NondominatedFronts
from searchsvc.domain import DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.service.documents.documents import load_document
from searchsvc.spaces import catalogue, cost_model_for
from workers.data.detection.digits_scenes import DIGITS_SCENES, DigitsScenesOptions

IMAGENET = DatasetInfo("imagenet", tuple(map(str, range(1000))), (3, 224, 224), {})
DIGITS = DatasetInfo("digits", tuple("0123456789"), (1, 8, 8), {})


def run() -> list[Row]:
    return [
        scaled("costs of 1,000,000 candidates of fbnetv3", _costs("fbnetv3", IMAGENET), 1_000_000, 1.0),
        scaled("costs of 1,000,000 candidates of mbconv-small", _costs("mbconv-small", DIGITS), 1_000_000, 2.0),
        scaled("10,000 reports placed among fronts", _reports, 10_000, 20.0),
        alone("a YAML bomb of 10^12 values refused", _refuse_bomb, 1.0),
        alone("200 scenes of digits made", _scenes, 2.0),
    ]


def _costs(name: str, info: DatasetInfo) -> Callable[[int], Callable[[], object]]:
    shipped = catalogue.find(name)
    model = cost_model_for("classification", shipped.space, info, shipped.constants)
    drawn = shipped.space.sample(50_000, np.random.default_rng(0))
    return lambda size: lambda: model(np.tile(drawn, (size // len(drawn), 1)))


def _reports(size: int) -> Callable[[], object]:
    points = [tuple(point) for point in np.random.default_rng(0).random((size, 2))]

    def place() -> None:
        fronts = NondominatedFronts(2)
        for point in points:
            fronts.add(point)
            fronts.count_better(point)

    return place


def _refuse_bomb() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    try:
        load_document("\n".join(lines))
    except InvalidInput:
        return
    raise AssertionError("it was not refused")


def _scenes() -> None:
    DIGITS_SCENES.read(DigitsScenesOptions(name="digits-scenes"))

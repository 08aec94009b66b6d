"""`make bench ARGS=ablation`: each part is measured, and the documentation has the stored figures."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablation_speed
from benchmarks.ablation import merged
from benchmarks.ablation_early_stop import COLUMNS, early_stop, first_epoch, read_curves
from benchmarks.ablation_figures import MARKS, Figure, markdown, read, rows_of, write
from benchmarks.ablation_predictor import Draw, predictors, stage_2
from benchmarks.search_results import PAGE, between_marks
from searchsvc.benchmarks import BenchmarkTable
from searchsvc.domain import Objective
from searchsvc.predictors.early_stop import early_stop_epoch

ROOT = Path(__file__).parents[4]
FIGURES = [
    Figure.of("Rank correlation", "t: combined", "20 labels", [0.5, 0.7]),
    Figure.of("Rank correlation", "t: combined", "50 labels", [0.9]),
    Figure("Speed", "fit", "seconds", 1.25, None, "< 1 s", False),
]


@pytest.fixture(scope="module")
def wide() -> BenchmarkTable:
    """256 networks whose loss falls with the channels of four stages; two trainings each, the second often missing."""
    random = np.random.default_rng(0)
    codes = np.array(list(product(range(4), repeat=4)), dtype=np.uint8)
    loss = 20.0 - codes.sum(axis=1)[:, None] + 0.5 * random.standard_normal((256, 2))
    loss[random.random(256) < 0.5, 1] = np.nan
    choices = {f"c{stage}": [8, 16, 24, 32] for stage in range(4)}
    return BenchmarkTable.of(
        choices, codes, Objective(metric="loss", goal="minimize"), loss, {"flops": 1.0 + codes.sum(axis=1)}
    )


# ---- figures ---------------------------------------------------------------------------------------------------------


def test_a_figure_is_a_mean_with_its_standard_error() -> None:
    assert str(FIGURES[0]) == "0.600 ± 0.1"
    assert FIGURES[0].error == pytest.approx(0.1)
    assert str(FIGURES[1]) == "0.900"


def test_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    write(tmp_path / "new" / "figures.json", FIGURES)
    assert read(tmp_path / "new" / "figures.json") == FIGURES
    assert read(tmp_path / "none.json") == []


def test_a_part_has_one_table_and_a_bound_has_a_verdict() -> None:
    assert markdown(FIGURES).splitlines() == [
        "| Rank correlation | 20 labels | 50 labels |",
        "|---|---|---|",
        "| t: combined | 0.600 ± 0.1 | 0.900 |",
        "",
        "| Speed | seconds |",
        "|---|---|",
        "| fit | 1.25 (< 1 s: not reached) |",
    ]
    assert [row.holds for row in rows_of(FIGURES)] == [None, False]


def test_a_second_measurement_replaces_only_its_part() -> None:
    again = Figure("Speed", "fit", "seconds", 0.5, None)
    assert merged(FIGURES, [again]) == [*FIGURES[:2], again]
    assert merged([*FIGURES[2:], *FIGURES[:2]], [again]) == [again, *FIGURES[:2]]


def test_the_page_has_the_tables_of_the_stored_figures() -> None:
    page, figures = PAGE.read_text(encoding="utf-8"), read(ROOT / "benchmarks/results/ablation.json")
    assert {figure.part for figure in figures} >= {
        "Rank correlation",
        "Calibration",
        "Early-stop epoch",
        "Best of five",
        "Speed",
    }
    assert between_marks(page, f"\n{markdown(figures)}", MARKS) == page


# ---- parts -----------------------------------------------------------------------------------------------------------


def test_labels_are_trainings_of_different_candidates(wide: BenchmarkTable) -> None:
    draw = Draw.of(wide, 100, seed=3)
    rows = wide.rows(draw.matrix)
    assert len(set(rows)) == 100
    assert (wide.values[rows] == draw.labels[:, None]).any(axis=1).all()
    assert (draw.labels != draw.truths).any()


def test_every_variant_of_the_predictor_ranks_unseen_candidates(wide: BenchmarkTable) -> None:
    figures = list(predictors("wide", wide, repeats=1, labels=(40,), held_out=200))
    rhos = {figure.what: figure.mean for figure in figures if figure.part == "Rank correlation"}
    assert len(rhos) == 7
    assert all(0.3 < rho < 1 for rho in rhos.values())
    assert rhos["wide: neural ensemble"] > rhos["wide: without pretraining"], "costs explain this table"
    assert {figure.what.partition(": ")[2] for figure in figures if figure.part == "Calibration"} == {
        "share inside 50 %",
        "share inside 90 %",
        "weight of the neural ensemble",
    }


def test_the_best_of_a_listed_space_is_the_best_of_stage_2(wide: BenchmarkTable) -> None:
    figures = list(stage_2("wide", wide, repeats=1, labels=(30,), pool=16))
    truth, predicted = (
        {figure.what.removeprefix("wide: "): figure.mean for figure in figures if figure.part == part}
        for part in ("Best of five", "Best of five, as predicted")
    )
    assert truth["of stage 2"] == truth["of all 256"] >= truth["optimum"] == wide.means.min()
    assert truth["of stage 2"] <= truth["best label"]
    assert predicted["of stage 2"] == predicted["of all 256"] == pytest.approx(min(predicted.values()), rel=1e-6)


def test_an_epoch_that_ranks_by_chance_ends_only_the_rule_that_takes_the_first() -> None:
    last = np.arange(20.0)
    curves = np.stack([last, last[::-1], last, last], axis=1)
    assert (first_epoch(curves, 0.92), early_stop_epoch(curves, 0.92)) == (1, 3)


def test_curves_that_never_cross_can_stop_at_once(tmp_path: Path) -> None:
    curves = np.arange(60.0)[:, None] + np.arange(10.0)
    np.savez(tmp_path / "curves.npz", val_accuracy=curves[None], task_ids=np.array(["a"]))
    figures = list(early_stop(read_curves(tmp_path / "curves.npz"), repeats=2))
    assert {figure.at: figure.mean for figure in figures} == dict(zip(COLUMNS, (1.0, 0.9, 1.0, 1.0), strict=True))
    assert len(figures) == 4 * len(COLUMNS)


def test_speed_measures_everything_with_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation_speed, "ROUNDS", 1)
    seconds, rates = ablation_speed.measured_on_a_core(64)
    assert ablation_speed.FIT in seconds
    assert set(ablation_speed.SCORES) < set(rates)
    assert all(value > 0 for value in (*seconds.values(), *rates.values()))

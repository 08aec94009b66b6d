"""Tables are read in any order of rows, and an incomplete table is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from searchsvc.benchmarks import TABLES, BenchmarkTable, Tabular
from searchsvc.benchmarks.tables import fcnet
from searchsvc.domain import Candidate
from searchsvc.errors import InvalidInput, NotFound
from searchsvc.spaces.enumeration import enumerate_space


def test_every_row_of_the_file_is_found_by_its_candidate(table: BenchmarkTable, arrays: dict[str, np.ndarray]) -> None:
    choices = json.loads(str(arrays["choices_json"]))
    for codes, loss, params in zip(arrays["index"], arrays["val_loss_task"], arrays["n_params_task"], strict=True):
        values = {name: choices[name][code] for name, code in zip(choices, codes, strict=True)}
        matrix = table.space.to_matrix([Candidate(values)])
        row = table.rows(matrix)[0]
        np.testing.assert_array_equal(table.values[row], loss)
        assert table.means[row] == pytest.approx(np.nanmean(loss))
        assert table.cost_model(matrix)["params"] == params


def test_the_rows_are_in_the_order_of_the_space(table: BenchmarkTable) -> None:
    matrix = enumerate_space(table.space, 100)
    assert matrix is not None
    np.testing.assert_array_equal(table.rows(matrix), np.arange(24))


@pytest.mark.parametrize("rows", [slice(1, None), [0, *range(23)]], ids=["one is missing", "one is there twice"])
def test_a_table_without_every_candidate_once_is_refused(
    rows: object, table: BenchmarkTable, path: Path, arrays: dict
) -> None:
    of_candidates = ("index", "val_loss_task", "n_params_task")
    np.savez(path, **arrays | {name: arrays[name][rows] for name in of_candidates})
    with pytest.raises(InvalidInput, match="24 candidates must have each of them once"):
        fcnet(path, "task")


def test_a_candidate_without_any_training_is_refused(path: Path, arrays: dict[str, np.ndarray]) -> None:
    arrays["val_loss_task"][5] = np.nan
    np.savez(path, **arrays)
    with pytest.raises(InvalidInput, match="one training seed at least"):
        fcnet(path, "task")


def test_a_code_beyond_the_choices_is_refused(path: Path, arrays: dict[str, np.ndarray]) -> None:
    arrays["index"][0] = [0, 3, 0]
    np.savez(path, **arrays)
    with pytest.raises(InvalidInput, match=r"\[2, 3, 4\]"):
        fcnet(path, "task")


def test_a_missing_array_is_named_and_the_arrays_of_the_file_are_listed(path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"/val_loss_other: .* it has index, param_names"):
        fcnet(path, "other")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nowhere\.npz"):
        fcnet(tmp_path / "nowhere.npz", "task")


@pytest.mark.parametrize(
    ("name", "size", "optimum"),
    [
        ("nasbench201-cifar10", 15_625, 91.6067),
        ("fcnet-protein", 62_208, 0.2214),
        ("fcnet-parkinsons", 62_208, 0.0067),
    ],
)
def test_the_real_tables_have_the_published_optima(name: str, size: int, optimum: float, real_tables: Path) -> None:
    table = TABLES[name](real_tables)
    assert table.space.size() == len(table.means) == size
    assert Tabular(table).optimum == pytest.approx(optimum, abs=5e-5)


def test_the_parameters_of_fcnet_follow_from_the_architecture_alone(real_tables: Path) -> None:
    table = TABLES["fcnet-protein"](real_tables)
    matrix = enumerate_space(table.space, 100_000)
    assert matrix is not None
    units = matrix[:, [table.space.names.index(name) for name in ("n_units_1", "n_units_2")]]
    params = table.costs["params"]
    assert all(len(set(params[(units == pair).all(axis=1)])) == 1 for pair in np.unique(units, axis=0))


def test_costs_of_cells_come_in_plain_units(real_tables: Path) -> None:
    table = TABLES["nasbench201-cifar10"](real_tables)
    assert table.costs["flops"].max() == pytest.approx(220.1e6, rel=0.01)
    assert table.costs["params"].max() == pytest.approx(1.53e6, rel=0.01)
    assert 1 < np.median(table.costs["latency_raspi4_ms"]) < 1000

"""searchctl recommend and transfer: requests, output, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from api.cli.client import Client
from api.cli.commands.recommend import constraints
from api.cli.output import say
from api.cli.views.gains import gain_lines
from api.cli.views.transfer import transfer_lines
from searchsvc.domain import Job
from searchsvc.errors import InvalidInput
from tests.unit.api.cli.conftest import Searchctl

ONE = {
    "values": {"depth_1": 2, "lr": 0.025},
    "architecture": {"depth_1": 2},
    "recipe": {"lr": 0.025},
    "predicted": {"accuracy": {"mean": 0.97213, "deviation": 0.004}},
    "costs": {"flops": 1.2e6},
    "trial": 12,
    "measured": {"accuracy": 0.9711},
}
ADVICE = {
    "constraints": [{"metric": "flops", "max": 5e6, "min": None}],
    "outcome": [],
    "learned_from": 48,
    "epoch": 5,
    "items": [ONE, {**ONE, "trial": None, "measured": None}],
    "job": {"id": "0197", "name": "digits-recommended", "spec": {"budget": {"trials": 2}}},
}
REPORT = {
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "recipes": [{"lr": 0.1, "ema": False}, {"lr": 0.025, "ema": True}],
    "differing": ["lr", "ema"],
    "networks": {
        "resnet18": [
            {"recipe": 0, "trials": 2, "mean": 0.95, "deviation": 0.003, "gain": None},
            {"recipe": 1, "trials": 1, "mean": 0.96, "deviation": None, "gain": 0.01},
        ],
        "resnet50": [{"recipe": place, "trials": 0, "mean": None, "deviation": None, "gain": None} for place in (0, 1)],
    },
}


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that were posted; the answer is ADVICE."""
    posted: list[Any] = []

    def post(_: Client, path: str, document: Any = None, **__: Any) -> Any:
        posted.append((path, document))
        return ADVICE

    monkeypatch.setattr(Client, "post", post)
    return posted


def test_limits_of_one_metric_are_one_constraint() -> None:
    assert constraints(["flops=5e6", "params=1e6"], ["flops=1e5"]) == [
        {"metric": "flops", "max": 5e6, "min": 1e5},
        {"metric": "params", "max": 1e6},
    ]


@pytest.mark.parametrize("limit", ["flops", "flops=", "=5", "flops=many", "flops=nan", "flops=inf", ""])
def test_a_limit_is_a_metric_and_a_number(limit: str) -> None:
    with pytest.raises(InvalidInput, match="METRIC=VALUE"):
        constraints([limit], [])


def test_a_limit_is_given_once() -> None:
    with pytest.raises(InvalidInput, match="--max flops is given twice"):
        constraints(["flops=1", "flops=2"], [])


def test_recommendations_have_predictions_costs_and_both_halves(searchctl: Searchctl, requests: list[Any]) -> None:
    answer = searchctl("recommend", "digits", "--max", "flops=5e6", "-k", "2", "--train")
    wish = {"constraints": [{"metric": "flops", "max": 5e6}], "k": 2, "train": True}
    assert requests == [("/jobs/digits:recommend", wish)]
    rows = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert "learned from 48 trials, after 5 epochs each" in rows
    assert "limits flops <= 5 M" in rows
    assert "1 0.9721 ± 0.0040 1.2 M #12 0.9711" in rows
    assert "2 0.9721 ± 0.0040 1.2 M" in rows
    assert "1 architecture depth_1=2" in rows
    assert "2 recipe lr=0.025" in rows
    assert "Submitted digits-recommended: 0197 (2 trials)" in rows


@pytest.mark.usefixtures("requests")
def test_as_json_it_is_the_answer_of_the_service(searchctl: Searchctl) -> None:
    assert searchctl("recommend", "digits", "--json").document == ADVICE


def test_too_few_results_are_code_4_and_wrong_limits_code_2(searchctl: Searchctl, searched: Job) -> None:
    answer = searchctl("recommend", searched.id)
    assert (answer.code, answer.out) == (4, "")
    assert "has 4 trials with a result" in answer.err
    assert searchctl("recommend", searched.id, "--max", "flops").code == 2
    assert searchctl("recommend", "nowhere").code == 3


def test_a_report_puts_recipes_beside_the_default_one(capsys: pytest.CaptureFixture[str]) -> None:
    say(*transfer_lines(REPORT))
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "network default recipe recipe 1" in rows
    assert "resnet18 0.9500 ± 0.0030 0.9600 (+0.0100)" in rows
    assert "resnet50 - -" in rows
    assert "ema false true" in rows


def test_a_report_of_gains_has_a_row_for_each_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    def row(init: str, fraction: float, value: float, *, low: float | None) -> dict[str, Any]:
        cell = {"values": {"data_fraction": fraction, "init": init, "augmentation": "S1"}, "trials": 3}
        return {
            "changed": {"init": init},
            "plain": {**cell, "mean": {"value": 0.8}},
            "cell": {**cell, "mean": {"value": 0.8 + value}},
            "gain": {"value": value, "low": low, "high": None if low is None else 2 * value - low},
            "pairs": 3,
        }

    report = {
        "objective": REPORT["objective"],
        "genes": ["data_fraction", "init", "augmentation"],
        "items": [row("pretrained", 0.1, 0.05, low=0.02), row("pretrained", 1.0, -0.01, low=None)],
    }
    say(*gain_lines(report))
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "with data_fraction trials plain trials with it with it gain" in rows
    assert "init=pretrained 0.1 3 0.8000 3 0.8500 +0.0500 (+0.0200 to +0.0800)" in rows
    assert "init=pretrained 1 3 0.8000 3 0.7900 -0.0100" in rows


def test_a_report_needs_something_to_compare(searchctl: Searchctl, searched: Job) -> None:
    answer = searchctl("report", searched.id)
    assert answer.code == 4
    assert "nothing to compare" in answer.err


def test_a_transfer_needs_a_space_or_is_a_report(searchctl: Searchctl, searched: Job) -> None:
    for arguments in ([], ["--space", "mbconv-small", "--report"], ["--space", "mbconv-small"]):
        assert searchctl("transfer", searched.id, *arguments).code == 2
    assert searchctl("transfer", searched.id, "--report").code == 4

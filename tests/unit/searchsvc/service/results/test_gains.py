"""Gains by amount of data: intervals equal scipy's; cells that differ in a single gene are compared."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from scipy import stats

from searchsvc.domain import Job, JobState, Measurement, Objective, Outcome, TrialState, new_id
from searchsvc.errors import Conflict
from searchsvc.service.planning.blueprint import make_proposer
from searchsvc.service.planning.resolve import resolve
from searchsvc.service.results import gains, intervals
from searchsvc.service.results.gains import GainReport
from searchsvc.service.service import Service

BEFORE, AFTER = [0.71, 0.74, 0.69], [0.80, 0.79, 0.86]


def test_the_interval_of_a_mean_is_that_of_student() -> None:
    estimate = intervals.mean([1.0, 2.0, 3.0])
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (2.0, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5)
    )
    alone = intervals.mean([1.0])
    assert (alone.value, alone.low, alone.high) == (1.0, None, None)


@pytest.mark.parametrize("before", [BEFORE, [0.5, 0.9]], ids=["three", "two"])
def test_the_interval_of_a_difference_is_that_of_welch(before: list[float]) -> None:
    estimate = intervals.difference(before, AFTER)
    expected = stats.ttest_ind(AFTER, before, equal_var=False).confidence_interval(0.95)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(expected))
    assert estimate.value == pytest.approx(sum(AFTER) / 3 - sum(before) / len(before))


def test_pairs_are_compared_one_by_one() -> None:
    estimate = intervals.paired_difference(BEFORE, AFTER)
    expected = stats.ttest_rel(AFTER, BEFORE).confidence_interval(0.95)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(expected))


def test_values_that_are_all_alike_have_an_interval_without_width() -> None:
    estimate = intervals.difference([0.5, 0.5], [0.75, 0.75])
    assert (estimate.value, estimate.low, estimate.high) == (0.25, 0.25, 0.25)
    assert intervals.difference([0.5], [0.75, 0.8]).low is None


# ---- of a job --------------------------------------------------------------------------------------------------------


def choice(name: str, *choices: Any) -> dict[str, Any]:
    return {"type": "categorical", "name": name, "choices": [*choices]}


INIT = choice("init", "scratch", "pretrained")
FRACTION = choice("data_fraction", 0.1, 1.0)
LEVEL = choice("augmentation", "S1", "S4")
REPLICATE = {"type": "integer", "name": "replicate", "low": 1, "high": 3}


@pytest.fixture
def report_of(service: Service, document: dict[str, Any]) -> Callable[..., GainReport]:
    """Return the report of a job over all candidates of a space, with the accuracies of a function."""

    def make(accuracy: Callable[[dict[str, Any]], float], *parameters: Any, **changes: Any) -> GainReport:
        weights = service.settings.data_roots[0] / "weights.pth"
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(b"weights")
        pretrained = {"pretrained": {"file": weights.name}} if INIT in parameters else {}
        space = {"parameters": [*parameters]}
        spec = {**document, "constraints": [], "space": space, "budget": {"trials": 100}, **pretrained, **changes}
        job, _ = service.jobs.submit(spec)
        run(service, job, accuracy)
        return service.results.gains(job.id)

    return make


def run(service: Service, job: Job, accuracy: Callable[[dict[str, Any]], float]) -> None:
    claimed = service.store.claim_job(job.id, "test", 60.0)
    assert claimed is not None
    writer = service.store.writer(claimed[1])
    blueprint = resolve(job.spec, trusted=True, settings=service.settings, store=service.store)
    for number, proposal in enumerate(make_proposer(blueprint).propose(100)):
        value = accuracy(dict(proposal.candidate.values))
        trial, measured = new_id(), Measurement(1, {"accuracy": value, "loss": 1 - value}, 1.0)
        writer.add_trials([(trial, number, proposal)])
        writer.start_attempt(trial, 1, "node", 1, 0.0)
        writer.measure(trial, measured, measured)
        writer.finish(trial, 1, Outcome(TrialState.SUCCEEDED), number)
    writer.finish_job(JobState.SUCCEEDED)
    writer.flush()


def accuracy(values: dict[str, Any]) -> float:
    """Pre-training is worth 0.1 with little data, S4 0.02; the effect of each seed is far larger than a gain."""
    pretrained = values.get("init") == "pretrained"
    gain = 0.1 if values.get("data_fraction") == 0.1 else 0.01
    luck = {1: 0.0, 2: 0.2, 3: 0.3}[values.get("replicate", 1)]
    jitter = 0.001 * values.get("replicate", 0) * pretrained
    return float(0.4 + luck + gain * pretrained + 0.02 * (values.get("augmentation") == "S4") + jitter)


def test_gains_are_found_by_fraction_and_level_in_pairs_of_one_seed(report_of: Callable[..., GainReport]) -> None:
    report = report_of(accuracy, INIT, FRACTION, LEVEL, REPLICATE)
    assert report.genes == ("data_fraction", "init", "augmentation")
    gains_by_cell = {
        (next(iter(one.changed.values())), one.cell.values["data_fraction"], one.cell.values["augmentation"]): one
        for one in report.gains
        if "init" in one.changed
    }
    assert list(gains_by_cell) == [("pretrained", fraction, level) for fraction in (0.1, 1.0) for level in ("S1", "S4")]
    little, much = gains_by_cell["pretrained", 0.1, "S1"], gains_by_cell["pretrained", 1.0, "S4"]
    assert (little.gain.value, much.gain.value) == pytest.approx((0.102, 0.012))
    assert (little.pairs, little.plain.trials, little.cell.trials) == (3, 3, 3)
    assert little.gain.low is not None
    assert little.gain.low > 0.09
    augmented = [one for one in report.gains if "augmentation" in one.changed]
    assert [one.gain.value for one in augmented] == pytest.approx([0.02] * 4)
    assert [one.plain.values["init"] for one in augmented].count("pretrained") == 2


def test_what_else_varies_is_what_the_interval_is_about(report_of: Callable[..., GainReport]) -> None:
    report = report_of(accuracy, LEVEL, choice("lr", 0.05, 0.1, 0.2))
    [gain] = report.gains
    assert (gain.pairs, gain.plain.trials, gain.cell.trials) == (0, 3, 3)
    assert gain.gain.value == pytest.approx(0.02)
    assert dict(gain.plain.values) == {"augmentation": "S1"}


def test_of_a_loss_less_is_better(report_of: Callable[..., GainReport]) -> None:
    [gain] = report_of(accuracy, LEVEL, objectives=[{"metric": "loss", "goal": "minimize"}]).gains
    assert gain.gain.value == pytest.approx(0.02)
    assert gain.gain.low is None


def test_a_job_that_searches_none_of_it_has_no_report(report_of: Callable[..., GainReport]) -> None:
    with pytest.raises(Conflict, match="none of init, self_training, augmentation is in its space"):
        report_of(accuracy, FRACTION)


def test_each_is_told_alone_on_top_of_the_other_and_together() -> None:
    plain = {"init": "scratch", "self_training": False}
    every = [(first, second) for first in ("scratch", "pretrained") for second in (False, True)]
    cells = {(("init", first), ("self_training", second)): [trial_of(first, second)] for first, second in every}
    computed = gains._gains(cells, plain, Objective(metric="accuracy"))
    rows = [(dict(one.changed), round(one.gain.value, 6)) for one in computed]
    both = {"init": "pretrained", "self_training": True}
    assert rows == [
        ({"self_training": True}, 0.1),
        ({"init": "pretrained"}, 0.2),
        ({"init": "pretrained"}, 0.15),
        ({"self_training": True}, 0.05),
        (both, 0.25),
    ]


def trial_of(init: str, self_training: bool) -> Any:
    """Return a trial in which both together are worth less than the sum."""
    pretrained = init == "pretrained"
    value = 0.5 + 0.2 * pretrained + 0.1 * self_training - 0.05 * (pretrained and self_training)
    return SimpleNamespace(values={"init": init, "self_training": self_training}, metrics={"accuracy": value})

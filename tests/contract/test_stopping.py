"""The contract of every stopping rule, and the decisions of ASHA and the median rule on fixtures and real curves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from searchsvc.algorithms.stopping.rank_correlation import RankCorrelation
from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.algorithms.stopping.table import STOPPING_RULES, create_stopping_rule
from searchsvc.domain import Decision, Fidelity, Measurement, Objective
from searchsvc.errors import InvalidInput

OPTIONS = {name: entry.options.example for name, entry in STOPPING_RULES.items()}
ACCURACY, SIZE = Objective(metric="accuracy"), Objective(metric="size", goal="minimize")
OBJECTIVES = {"one": (ACCURACY,), "minimised": (SIZE,), "two": (ACCURACY, SIZE)}
EPOCHS = 12

Report = tuple[int, Measurement]
STOP, CONTINUE = Decision.STOP, Decision.CONTINUE


def create_rule(name: str, objectives: Sequence[Objective], epochs: int = EPOCHS, **options: int) -> StoppingRule:
    return create_stopping_rule(
        name, objectives=objectives, fidelity=Fidelity(epochs=epochs), **{**OPTIONS[name], **options}
    )


def report(rule: StoppingRule, trial: int, step: int, accuracy: float, size: float = 0.0) -> Decision:
    return rule.report(trial, Measurement(step, {"accuracy": accuracy, "size": size}, float(step)))


def reports_of(rule: StoppingRule, trials: int, seed: int) -> Iterator[tuple[Report, Decision]]:
    """Trials that train side by side at random speeds until their last epoch or their stop."""
    random = np.random.default_rng(seed)
    quality = random.random(trials)
    running = dict.fromkeys(range(trials), 0)
    while running:
        trial = int(random.choice(list(running)))
        running[trial] += 1
        accuracy = float(quality[trial] * running[trial] ** 0.3 + random.normal(0, 0.02))
        measurement = Measurement(running[trial], {"accuracy": accuracy, "size": float(quality[trial] ** 2)}, 1.0)
        decision = rule.report(trial, measurement)
        yield (trial, measurement), decision
        if decision is STOP or running[trial] == EPOCHS:
            del running[trial]


@pytest.mark.parametrize("objectives", OBJECTIVES.values(), ids=OBJECTIVES)
@pytest.mark.parametrize("name", OPTIONS)
class TestEveryRule:
    def test_a_replay_of_the_measurements_that_it_wants_makes_the_same_decisions(
        self, name: str, objectives: Sequence[Objective]
    ) -> None:
        whole, replayed = create_rule(name, objectives), create_rule(name, objectives)
        reports = list(reports_of(whole, 40, seed=3))
        for (trial, measurement), decision in reports[: len(reports) // 2]:
            if replayed.wants(trial, measurement.step):
                assert replayed.report(trial, measurement) is decision
            else:
                assert decision is CONTINUE
        rest = reports[len(reports) // 2 :]
        assert [replayed.report(*report) for report, _ in rest] == [decision for _, decision in rest]
        assert replayed.needs_measurements or all(decision is CONTINUE for _, decision in reports)

    def test_an_interruption_does_not_change_the_decisions(self, name: str, objectives: Sequence[Objective]) -> None:
        whole = list(reports_of(create_rule(name, objectives), 40, seed=5))
        for cut in np.random.default_rng(6).integers(len(whole), size=5):
            rebuilt = create_rule(name, objectives)
            for (trial, measurement), _ in whole[:cut]:
                rebuilt.report(trial, measurement)
            assert [rebuilt.report(*one) for one, _ in whole[cut:]] == [decision for _, decision in whole[cut:]]

    def test_the_last_step_is_never_stopped(self, name: str, objectives: Sequence[Objective]) -> None:
        decisions = list(reports_of(create_rule(name, objectives), 40, seed=7))
        assert {decision for (_, one), decision in decisions if one.step == EPOCHS} == {CONTINUE}

    def test_the_first_trial_is_never_stopped(self, name: str, objectives: Sequence[Objective]) -> None:
        rule = create_rule(name, objectives)
        assert {report(rule, 0, step, 0.1 / step, step) for step in range(1, EPOCHS)} == {CONTINUE}

    def test_a_measurement_without_an_objective_is_ignored(self, name: str, objectives: Sequence[Objective]) -> None:
        rule, other = create_rule(name, objectives), create_rule(name, objectives)
        for step in range(1, EPOCHS):
            rule.report(99, Measurement(step, {"something": 1.0}, 1.0))
        assert [d for _, d in reports_of(rule, 20, seed=8)] == [d for _, d in reports_of(other, 20, seed=8)]

    def test_saved_steps_are_those_of_stopped_trials(self, name: str, objectives: Sequence[Objective]) -> None:
        rule = create_rule(name, objectives)
        remaining = [EPOCHS - one.step for (_, one), decision in reports_of(rule, 40, seed=9) if decision is STOP]
        assert rule.saved_steps == sum(remaining)
        assert bool(remaining) == (name != "none")


class TestAsha:
    def test_a_fixture_computed_by_hand(self) -> None:
        """reduction 2, rungs at 1, 2, 4 of 8 epochs. At a rung with n records, the best max(1, n // 2) go on."""
        rule = create_rule("asha", (ACCURACY,), epochs=8, reduction=2, min_epochs=1)
        decided = [
            (0, 1, 0.50, CONTINUE),  # n = 1
            (1, 1, 0.40, STOP),  # n = 2, keeps 1: 0.50
            (2, 1, 0.60, CONTINUE),  # n = 3, keeps 1: itself
            (3, 1, 0.50, CONTINUE),  # n = 4, keeps 2: a single trial is better, an equal trial is not
            (4, 1, 0.50, CONTINUE),  # n = 5, keeps 2
            (5, 1, 0.49, STOP),  # n = 6, keeps 3: four are better
            (0, 2, 0.70, CONTINUE),  # the next rung is empty
            (2, 2, 0.65, STOP),
            (0, 3, 0.01, CONTINUE),  # between rungs
            (0, 4, 0.01, CONTINUE),  # alone on the last rung
            (0, 8, 0.00, CONTINUE),
        ]
        assert [report(rule, trial, step, value) for trial, step, value, _ in decided] == [one[3] for one in decided]
        assert rule.saved_steps == 7 + 7 + 6

    def test_rungs_lie_below_the_fidelity(self) -> None:
        rule = create_rule("asha", (ACCURACY,), epochs=27, reduction=3, min_epochs=1)
        assert getattr(rule, "rungs") == [1, 3, 9]  # noqa: B009 - not part of the contract

    def test_several_objectives_go_by_rank_then_by_crowding(self) -> None:
        rule = create_rule("asha", (ACCURACY, SIZE), epochs=8, reduction=3, min_epochs=1)
        for trial, (accuracy, size) in enumerate([(0.9, 9.0), (0.1, 1.0), (0.5, 5.0)]):
            report(rule, trial, 1, accuracy, size)
        assert report(rule, 3, 1, 0.4, 5.5) is STOP  # dominated by the third
        assert report(rule, 4, 1, 0.52, 5.1) is STOP  # on the front, but in a crowd; of 5, 1 goes on
        assert report(rule, 5, 1, 0.95, 10.0) is CONTINUE  # an end of the front; of 6, 2 go on

    def test_a_trial_that_reports_seldom_counts_at_the_highest_rung_it_passed(self) -> None:
        rule = create_rule("asha", (ACCURACY,), epochs=27, reduction=3, min_epochs=1)
        assert report(rule, 0, 10, 0.5) is CONTINUE
        assert report(rule, 1, 1, 0.1) is CONTINUE  # nothing is recorded at the first rung
        assert report(rule, 1, 9, 0.1) is STOP


    def test_a_report_that_passes_some_rungs_counts_at_the_highest_of_them(self) -> None:
        rule = create_rule("asha", (ACCURACY,), epochs=27, reduction=3, min_epochs=1)
        assert report(rule, 0, 4, 0.5) is CONTINUE  # passes rungs 1 and 3, not 9
        assert report(rule, 1, 1, 0.1) is CONTINUE  # alone at the first rung
        assert report(rule, 1, 3, 0.1) is STOP
        assert report(rule, 0, 9, 0.1) is CONTINUE  # alone at the last rung


class TestMedian:
    def test_a_fixture_computed_by_hand(self) -> None:
        """Compares the best so far with the median of the running averages of three others at least, from step 2 on."""
        rule = create_rule("median", (ACCURACY,), epochs=4, min_trials=3, min_epochs=2)
        for trial, (first, second) in enumerate([(0.2, 0.4), (0.4, 0.6), (0.6, 0.8)]):  # averages 0.3, 0.5, 0.7
            assert [report(rule, trial, 1, first), report(rule, trial, 2, second)] == [CONTINUE, CONTINUE]
        assert report(rule, 3, 1, 0.0) is CONTINUE
        assert report(rule, 3, 2, 0.49) is STOP
        assert report(rule, 4, 1, 0.5) is CONTINUE
        assert report(rule, 4, 2, 0.0) is CONTINUE  # its best, 0.5, is above the median of four: 0.4
        assert rule.saved_steps == 2

    def test_several_objectives_end_the_worse_half(self) -> None:
        rule = create_rule("median", (ACCURACY, SIZE), epochs=4, min_trials=2, min_epochs=1)
        for trial in range(4):
            report(rule, trial, 1, 0.5 + trial / 10, 5.0 - trial)
        assert report(rule, 4, 1, 0.1, 9.0) is STOP
        assert report(rule, 5, 1, 0.95, 1.0) is CONTINUE

    def test_several_objectives_count_on_average_not_at_their_best(self) -> None:
        rule = create_rule("median", (ACCURACY, SIZE), epochs=4, min_trials=2, min_epochs=2)
        for trial in range(3):
            for step in (1, 2):
                report(rule, trial, step, 0.5, 5.0)
        report(rule, 3, 1, 0.9, 9.9)
        assert report(rule, 3, 2, 0.0, 1.0) is STOP  # the best of each objective would beat all others


class TestRankCorrelation:
    CURVES = np.array(
        [  # ranks as at the end from epoch 3 on; at epoch 1 by chance only, as epoch 2 shows
            [0.10, 0.50, 0.55, 0.60],
            [0.20, 0.30, 0.65, 0.70],
            [0.30, 0.40, 0.75, 0.80],
            [0.40, 0.45, 0.85, 0.90],
            [0.50, 0.55, 0.95, 0.99],
        ]
    )

    def test_the_first_trials_train_to_the_end_and_later_trials_to_the_chosen_epoch(self) -> None:
        rule = create_rule("rank-correlation", (ACCURACY,), epochs=4, trials=5)
        for trial, curve in enumerate(self.CURVES):
            assert [report(rule, trial, step, value) for step, value in enumerate(curve, 1)] == [CONTINUE] * 4
        assert [report(rule, 9, step, 0.1 * step) for step in (1, 2, 3)] == [CONTINUE, CONTINUE, STOP]
        assert rule.saved_steps == 1

    def test_a_running_trial_stops_at_its_next_report_and_a_trial_at_its_last_epoch_ends_by_itself(self) -> None:
        rule = create_rule("rank-correlation", (ACCURACY,), epochs=4, trials=5)
        report(rule, 7, 1, 0.3)
        for trial, curve in enumerate(self.CURVES):
            for step, value in enumerate(curve, 1):
                report(rule, trial, step, value)
        assert report(rule, 7, 3, 0.3) is STOP
        assert report(rule, 8, 4, 0.3) is CONTINUE

    def test_trials_that_never_reach_the_end_do_not_decide(self) -> None:
        rule = create_rule("rank-correlation", (ACCURACY,), epochs=4, trials=5)
        for trial in range(20):
            assert report(rule, trial, 1, trial / 20) is CONTINUE
        assert rule.saved_steps == 0


@pytest.fixture(scope="module")
def curves() -> np.ndarray:
    """(tasks, configurations, epochs) validation accuracy in per cent."""
    path = Path(os.environ.get("SEARCHSVC_SHARED", "../shared")) / "data/tables/lcbench_curves.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there: set SEARCHSVC_SHARED")
    return np.load(path, allow_pickle=False)["val_accuracy"].astype(np.float64)


class TestRealCurves:
    @pytest.mark.parametrize(("name", "least_saved", "largest_regret"), [("asha", 0.6, 1.0), ("median", 0.3, 0.5)])
    def test_it_saves_epochs_and_keeps_good_trials(
        self, curves: np.ndarray, name: str, least_saved: float, largest_regret: float
    ) -> None:
        """100 configurations, four at a time, on each task: epochs saved, and accuracy points lost to the true best."""
        saved, regrets = [], []
        for task, table in enumerate(curves):
            chosen = table[np.random.default_rng(task).permutation(len(table))[:100]]
            rule = create_stopping_rule(name, objectives=[ACCURACY], fidelity=Fidelity(epochs=table.shape[1]))
            finished = _finished(rule, chosen)
            saved.append(rule.saved_steps / chosen.size)
            regrets.append(chosen[:, -1].max() - chosen[finished, -1].max())
        assert np.mean(saved) > least_saved
        assert np.median(regrets) < largest_regret


    def test_at_the_epoch_chosen_by_a_dozen_trials_the_others_rank_as_at_their_end(self, curves: np.ndarray) -> None:
        """Spearman's rho between the chosen epoch and the last epoch, on 88 trials that had no part in choosing it."""
        results = []
        for task, table in enumerate(curves):
            chosen = table[np.random.default_rng(task).permutation(len(table))[:100]]
            rule = create_rule("rank-correlation", (ACCURACY,), epochs=table.shape[1], trials=12)
            assert isinstance(rule, RankCorrelation)
            for trial, curve in enumerate(chosen[:12]):
                for step, value in enumerate(curve, 1):
                    report(rule, trial, step, float(value))
            assert rule.epoch is not None
            best = np.maximum.accumulate(chosen[12:], axis=1)
            results.append((rule.epoch, spearmanr(best[:, rule.epoch - 1], best[:, -1]).statistic))
        epochs, correlations = np.array(results).T
        assert np.median(correlations) > 0.9
        assert np.mean(epochs) < 0.8 * curves.shape[2]


def _finished(rule: StoppingRule, curves: np.ndarray) -> list[int]:
    """The trials that four workers train to the end."""
    waiting, running, finished = list(range(len(curves))), {}, []
    while waiting or running:
        while waiting and len(running) < 4:
            running[waiting.pop(0)] = 0
        for trial in list(running):
            running[trial] += 1
            ended = running[trial] == curves.shape[1]
            finished += [trial] if ended else []
            if report(rule, trial, running[trial], float(curves[trial, running[trial] - 1])) is STOP or ended:
                del running[trial]
    return finished


class TestTheTable:
    def test_this_suite_runs_every_rule(self) -> None:
        assert set(OPTIONS) == set(STOPPING_RULES)

    def test_wrong_names_and_options_are_named(self) -> None:
        with pytest.raises(InvalidInput, match="did you mean 'median'"):
            create_stopping_rule("medain", objectives=[ACCURACY], fidelity=Fidelity())
        with pytest.raises(InvalidInput, match="reduction, min_epochs") as caught:
            create_stopping_rule("asha", objectives=[ACCURACY], fidelity=Fidelity(), reduction=1, rungs=3)
        assert {fault.pointer for fault in caught.value.faults} == {"/reduction", "/rungs"}

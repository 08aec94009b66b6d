"""Jobs that share weights: faults, plans, learned distributions, and the readers of the supernet's trial."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from searchsvc.errors import Conflict, InvalidInput
from searchsvc.service.service import Service
from tests.support.supernets import SPEC, a_job_with_a_supernet
from tests.support.tasks import install

Document = dict[str, Any]
_LR = SPEC["space"]["parameters"][-1]


def faults(service: Service, **changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        service.jobs.submit({**SPEC, "name": "refused", **changes}, trusted=True)
    assert service.jobs.page().items == ()
    return {fault.pointer: fault.message for fault in refused.value.faults}


@pytest.fixture
def testing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the tasks that train nothing."""
    monkeypatch.syspath_prepend(install(tmp_path / "packages").split(":")[0])


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "pointer", "said"),
        [
            ({"budget": {"trials": 1}}, "/budget/trials", "one trial for its supernet and one for each candidate"),
            (
                {"objectives": [{"metric": "train_loss", "goal": "minimize"}]},
                "/objectives/0/metric",
                "is not scored by train_loss, but by accuracy or loss",
            ),
            (
                {"objectives": [{"metric": "accuracy"}, {"metric": "loss", "goal": "minimize"}]},
                "/algorithm/name",
                "one objective; for several use nsga2",
            ),
            (
                {
                    "space": {"name": "fbnetv3-small"},
                    "algorithm": {"name": "autohas", "soft_limits": [{"metric": "latency", "max": 3.0}]},
                },
                "/algorithm/soft_limits/0/metric",
                "'latency' is not known before training; there are flops, params",
            ),
            (
                {"algorithm": {"name": "autohas", "soft_limits": [{"metric": "flops", "max": 3.0}] * 2}},
                "/algorithm",
                "each needs a metric of its own",
            ),
            (
                {"space": {"parameters": [{"type": "integer", "name": "batch_size", "low": 2, "high": 1100}]}},
                "/space/parameters/0",
                "has 1,099 values, each with a probability of its own: 1,000 at most",
            ),
        ],
    )
    def test_a_fault_is_named_with_its_place_and_what_would_be_right(
        self, service: Service, changes: Document, pointer: str, said: str
    ) -> None:
        refused = faults(service, **changes)
        assert said in refused[pointer]

    def test_networks_that_share_nothing_are_named_where_they_are_chosen(self, service: Service) -> None:
        networks = {"type": "categorical", "name": "network", "choices": ["mbconv", "fbnetv3-small"]}
        assert (
            "have no weights in common" in faults(service, space={"parameters": [_LR, networks]})["/space/parameters/1"]
        )

    def test_a_parameter_of_a_shipped_space_is_named_where_it_may_be_fixed(self, service: Service) -> None:
        refused = faults(service, space={"name": "mbconv-small"})
        assert refused
        assert all(pointer.startswith("/space/fix/") for pointer in refused)

    @pytest.mark.usefixtures("testing")
    def test_a_task_without_supernets_names_the_algorithms_that_do_without(self, service: Service) -> None:
        space = {"parameters": [{"type": "float", "name": "x", "low": 0, "high": 1}]}
        refused = faults(
            service, task="scripted", dataset={"name": "nothing"}, space=space, objectives=[{"metric": "score"}]
        )
        assert list(refused) == ["/algorithm/name"]
        assert (
            "scripted trains no supernets, which autohas needs; there are random, sobol" in refused["/algorithm/name"]
        )
        assert "autohas," not in refused["/algorithm/name"]

    def test_too_few_validation_images_are_counted(self, service: Service, tmp_path: Path) -> None:
        folder = tmp_path / "data" / "few.npz"
        folder.parent.mkdir(exist_ok=True)
        images = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 1), dtype=np.uint8)
        np.savez(folder, x_train=images, y_train=np.arange(60) % 2)
        refused = faults(service, dataset={"format": "npz", "path": str(folder)})
        assert refused == {"/dataset": "has 10 validation images; to score the candidates of a supernet, 32 are needed"}

    @pytest.mark.usefixtures("testing")
    def test_every_fault_of_a_task_is_told_at_its_place(self, service: Service) -> None:
        integers = [{"type": "integer", "name": name, "low": 0, "high": 1} for name in ("strikes", "x")]
        changes = {"task": "sharing", "dataset": {"name": "nothing"}, "objectives": [{"metric": "score"}]}
        refused = faults(service, space={"parameters": integers}, **changes)
        assert set(refused) == {"/space/parameters/0", "/space/parameters/1"}


class TestAccepted:
    def test_limits_on_costs_may_be_hard_and_soft_and_others_judge_the_finalists(self, service: Service) -> None:
        soft = [{"metric": "flops", "max": 1e6, "weight": 0.5}]
        job, _ = service.jobs.submit(
            {
                **SPEC,
                "space": {"name": "fbnetv3-small"},
                "constraints": [{"metric": "flops", "max": 3e6}, {"metric": "loss", "max": 1.0}],
                "algorithm": {"name": "autohas", "soft_limits": soft},
                "stopping": {"name": "median"},
            }
        )
        assert job.spec.algorithm.options["soft_limits"] == soft

    def test_a_plan_names_no_candidates_as_the_supernet_is_to_find_them(self, service: Service) -> None:
        plan = service.jobs.plan({**SPEC, "space": {"name": "fbnetv3-small"}})
        assert plan.candidates == ()
        assert plan.warnings == ()


class TestDistributions:
    def test_options_stand_beside_their_probabilities(self, service: Service) -> None:
        job = a_job_with_a_supernet(service.store, steps=2)
        learned = service.results.distributions(job.id)
        assert (learned.trial.number, learned.step, learned.steps) == (0, 2, 4)
        assert (learned.metrics["reward"], learned.metrics["baseline"], learned.metrics["rejected"]) == (0.5, 0.5, 3.0)
        n3, optimizer, lr = learned.parameters
        assert (n3.parameter, n3.options) == ("n3", (1, 2, 3))
        assert (optimizer.options, optimizer.probabilities) == (("sgd", "adamw"), (0.25, 0.75))
        assert lr.options == pytest.approx((0.001, 0.01, 0.1))
        assert optimizer.entropy == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
        assert learned.metrics["entropy"] == pytest.approx(sum(one.entropy for one in learned.parameters))

    def test_before_the_first_measurement_there_is_nothing_to_show(self, service: Service) -> None:
        job = a_job_with_a_supernet(service.store, steps=0)
        with pytest.raises(Conflict, match="has measured nothing yet"):
            service.results.distributions(job.id)

    def test_a_job_without_a_supernet_says_so(self, service: Service, document: Document) -> None:
        job, _ = service.jobs.submit(document)
        with pytest.raises(Conflict, match="no supernet: random trains each candidate by itself"):
            service.results.distributions(job.id)


class TestReaders:
    """A supernet is a trial, but no candidate and no result."""

    def test_results_are_those_of_the_finalists(self, service: Service) -> None:
        job = a_job_with_a_supernet(service.store)
        assert [trial.number for trial in service.trials.page(job.id).items] == [0, 1, 2]
        assert [trial.number for trial in service.results.best(job.id)] == [2, 1]
        assert [trial.number for trial in service.results.front(job.id)] == [2]
        summary = service.results.summary(job.id)
        assert summary.best is not None
        assert (summary.best.number, summary.pareto_size) == (2, 1)

    def test_predictors_learn_from_finalists_alone(self, service: Service) -> None:
        job = a_job_with_a_supernet(service.store, algorithm={"name": "autohas", "basis_values": 3, "finalists": 9})
        assert len(service.recommendations.recommend(job.id, [], k=1).items) == 1
        few = a_job_with_a_supernet(service.store, algorithm={"name": "autohas", "basis_values": 3, "finalists": 7})
        with pytest.raises(Conflict, match="has 7 trials with a result"):
            service.recommendations.recommend(few.id, [], k=1)

    def test_exports_hold_the_finalists(self, service: Service, tmp_path: Path) -> None:
        job = a_job_with_a_supernet(service.store)
        table = service.exports.write(job.id, format="csv", destination=tmp_path / "trials.csv")
        rows = list(csv.DictReader(table.open()))
        assert [row["number"] for row in rows] == ["1", "2"]
        assert not [name for name in rows[0] if "finalist" in name]
        study = service.exports.write(job.id, format="optuna", destination=tmp_path / "study.db")
        opened = optuna.load_study(study_name="shared", storage=f"sqlite:///{study}")
        assert [trial.number for trial in opened.trials] == [1, 2]
        assert opened.best_trial.number == 2
        opened.tell(opened.ask(), 0.9)
        assert opened.best_value == 0.9

    @pytest.mark.parametrize("format_", ["spec", "weights"])
    def test_a_supernet_cannot_be_taken_away_as_a_candidate(
        self, service: Service, tmp_path: Path, format_: str
    ) -> None:
        job = a_job_with_a_supernet(service.store)
        with pytest.raises(Conflict, match="trial 0 of job shared trains a supernet, not a candidate"):
            service.exports.write(job.id, format=format_, destination=tmp_path, trial="0")

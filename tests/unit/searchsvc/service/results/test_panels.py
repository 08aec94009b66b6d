"""Panels of a job's page: importance, learning, attempts, architectures, training time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from searchsvc.domain import Candidate
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.pages import SPEC, Running, a_search
from tests.support.supernets import a_job_with_a_supernet

SPACE = {
    "parameters": [
        {"name": "lr", "type": "float", "low": 0.001, "high": 1.0},
        {"name": "dropout", "type": "float", "low": 0.0, "high": 0.9},
        {"name": "optimizer", "type": "categorical", "choices": ["sgd", "adamw"]},
        {"name": "momentum", "type": "float", "low": 0.0, "high": 0.9, "when": {"optimizer": ["sgd"]}},
    ]
}


@pytest.fixture
def service(tmp_path: Path, sqlite_url: str) -> Iterator[Service]:
    store = Store.open(sqlite_url)
    yield Service(store, Settings(data_dir=tmp_path / "data", database_url=sqlite_url).prepare())
    store.close()


def test_what_decides_the_objective_is_important_and_what_does_not_is_not(service: Service) -> None:
    search = Running(service, space=SPACE, constraints=[])
    for number in range(60):
        values = {"lr": (number + 1) / 60, "dropout": (number * 37 % 60) / 70, "optimizer": "adamw"}
        search.propose(Candidate(values if number % 2 else {**values, "optimizer": "sgd", "momentum": 0.5}))
        search.start(number)
        search.measure(number, 1, 0.3 + number / 100)
        search.end(number)
    search.flush()
    importance = service.results.importance(search.id)
    shares = dict(importance.shares)
    assert importance.shares[0][0] == "lr"
    assert shares["lr"] > 5 * shares["dropout"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert (importance.metric, importance.results, importance.conditional) == ("accuracy", 60, ("momentum",))
    with pytest.raises(InvalidInput, match="try accuracy, flops, loss, params"):
        service.results.importance(search.id, "latency")


def test_importance_is_told_anew_when_another_trial_has_ended(service: Service) -> None:
    search = a_search(service, 9)
    with pytest.raises(Conflict, match="has 8 results"):
        service.results.importance(search.id)
    for _ in range(3):
        number = search.propose()
        search.start(number)
        search.measure(number, 1, 0.5)
        search.end(number)
        search.flush()
    first = service.results.importance(search.id)
    assert service.results.importance(search.id) is first
    number = search.propose()
    search.start(number)
    search.measure(number, 1, 0.5)
    search.end(number)
    search.flush()
    assert service.results.importance(search.id).results == first.results + 1


def test_the_learning_of_a_supernet_ends_with_its_distributions(service: Service) -> None:
    job = a_job_with_a_supernet(service.store)
    last, whole = service.results.distributions(job.id), service.results.learning(job.id)
    assert whole.steps[-1] == last.step
    assert [of_steps[-1] for of_steps in whole.parameters.values()] == list(last.parameters)
    assert {name: values[-1] for name, values in whole.metrics.items()} == last.metrics
    assert service.results.learning(job.id, most=1).steps == (last.step,)
    with pytest.raises(Conflict, match="no supernet"):
        service.results.learning(a_search(service, 1).id)


def test_attempts_and_measurements_of_many_trials_come_at_once(service: Service) -> None:
    search = a_search(service, 6)
    attempts = service.trials.attempts_of_job(search.id)
    assert [number for number, _ in attempts] == [6, 5, 4, 3, 2, 1, 0]
    assert attempts[1][1].failure == "DIVERGED"
    assert len(service.trials.attempts_of_job(search.id, limit=2)) == 2
    one_by_one = {one: measurements for one in search.trials if (measurements := service.trials.measurements(one))}
    assert service.trials.measurements_of(search.trials) == one_by_one


def test_an_architecture_costs_what_the_job_is_limited_by(service: Service) -> None:
    candidate = service.jobs.plan(SPEC).candidates[0]
    search = Running(service)
    number = search.propose(candidate.candidate)
    search.flush()
    architecture = service.trials.architecture(search.trials[number])
    assert (architecture.flops, architecture.params) == (candidate.costs["flops"], candidate.costs["params"])
    assert architecture.shape == (1, 8, 8)
    number = search.propose(Candidate({"width_2": 100_000}))
    search.flush()
    with pytest.raises(Conflict, match="what this candidate builds"):
        service.trials.architecture(search.trials[number])


def test_a_supernet_has_no_one_architecture(service: Service) -> None:
    job = a_job_with_a_supernet(service.store)
    with pytest.raises(Conflict, match="supernet"):
        service.trials.architecture(service.trials.page(job.id).items[0].id)


def test_what_a_job_has_cost_is_the_training_of_its_trials(service: Service) -> None:
    search = a_search(service, 6, resources={"cpu": 2})
    seconds = sum(one.seconds or 0.0 for one in service.trials.page(search.id).items)
    assert service.results.summary(search.id).cpu_hours == pytest.approx(seconds * 2 / 3600)
    assert seconds > 0

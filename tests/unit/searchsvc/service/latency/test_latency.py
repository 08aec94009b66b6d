"""Measuring latency tables with a simulated device, and using them in a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from searchsvc import tasks
from searchsvc.domain import DatasetInfo, JobSpec, Scalar
from searchsvc.domain.spec import NamedSpace
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.service.latency.measure import TableRequest, compare, measure
from searchsvc.service.latency.timing import time_operators, typical
from searchsvc.service.lookup import latency_tables
from searchsvc.service.planning.resolve import resolve
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.spaces import catalogue, networks
from searchsvc.spaces.costs.operators import Operator
from tests.support.latency import CPU, DIGITS, operators_of_values, small_table, table_of, work

Document = dict[str, Any]


@dataclass(slots=True)
class FakeBench:
    """A call takes its operator's `work`, a first call ten times as long; a network takes twice its operators."""

    now: float = 0.0
    calls: dict[Operator, int] = field(default_factory=dict)
    device = CPU

    def clock(self) -> float:
        """Return the seconds that all calls have taken."""
        return self.now

    def operator(self, operator: Operator) -> Callable[[], float]:
        """Return a call of an operator, as required by `Bench`."""
        return self._timed(work(operator), operator)

    def network(self, values: Mapping[str, Scalar]) -> Callable[[], float]:
        """Return a call of a network, as required by `Bench`."""
        return self._timed(2.0 * sum(map(work, operators_of_values(values, DIGITS.shape))), None)

    def _timed(self, milliseconds: float, operator: Operator | None) -> Callable[[], float]:
        first = True

        def call() -> float:
            nonlocal first
            taken, first = milliseconds * (10.0 if first else 1.0), False
            self.now += taken / 1e3
            if operator is not None:
                self.calls[operator] = self.calls.get(operator, 0) + 1
            return taken

        return call


@dataclass(frozen=True, slots=True)
class FakeTask:
    """A task that can time its networks, and nothing else."""

    bench: FakeBench

    def latency_bench(self, info: DatasetInfo, *, device: str, batch: int, threads: int) -> FakeBench:  # noqa: ARG002
        return self.bench


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> FakeBench:
    made = FakeBench()
    monkeypatch.setattr(tasks, "find", lambda _name: FakeTask(made))
    return made


def measured(bench: FakeBench, **changes: Any) -> Any:
    request = TableRequest("fbnetv3-small", DIGITS, **changes)
    return measure(request, date="2026-01-01", clock=bench.clock, progress=lambda _line: None)


def test_every_operator_gets_its_time_and_first_calls_do_not_count(bench: FakeBench) -> None:
    table = measured(bench, networks=0)
    assert {one.operator: one.milliseconds for one in table.operators} == {
        one.operator: pytest.approx(work(one.operator)) for one in small_table().operators
    }
    assert all(one.samples > 5 for one in table.operators)
    assert (table.check, table.scale) == (None, 1.0)


def test_whole_networks_give_the_scale(bench: FakeBench) -> None:
    table = measured(bench, networks=8)
    assert table.scale == pytest.approx(2.0)
    assert table.check is not None
    assert table.check.rank_correlation == pytest.approx(1.0)
    assert table.check.median_error == pytest.approx(0.5)
    assert table.check.scaled_error_90 == pytest.approx(0.0, abs=1e-9)


def test_when_time_is_up_the_rest_is_fitted(bench: FakeBench) -> None:
    table = measured(bench, seconds=1e-6, networks=0)
    timed = [one for one in table.operators if one.samples]
    assert 0 < len(timed) < len(table.operators)
    assert len(bench.calls) == len(timed)
    assert {one.operator.kind for one in timed} == {"stem", "block", "head"}
    wrong = [abs(one.milliseconds / work(one.operator) - 1.0) for one in table.operators if not one.samples]
    assert np.median(wrong) < 0.05


def test_operators_are_called_in_turns_and_not_one_after_the_other() -> None:
    order: list[Operator] = []
    bench = FakeBench()

    class Noting(FakeBench):
        def operator(self, operator: Operator) -> Callable[[], float]:
            call = bench.operator(operator)
            return lambda: order.append(operator) or call()  # type: ignore[func-returns-value]

    operators = [one.operator for one in small_table().operators][:50]
    samples = time_operators(Noting(), operators, seconds=9.0, clock=bench.clock, progress=lambda _line: None)
    assert {len(times) for times in samples.values()} == {24}
    assert sum(one == other for one, other in pairwise(order)) < 0.05 * len(order)


def test_the_lower_quartile_counts() -> None:
    assert typical([5.0, 1.0, 90.0, 2.0, 3.0]) == 2.0


def test_a_network_does_not_scale_itself() -> None:
    check = compare([1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 16.0])
    assert check.rank_correlation == pytest.approx(1.0)
    assert check.median_error == pytest.approx(0.5)
    assert check.scaled_median_error == pytest.approx(0.0)
    assert check.scaled_error_90 == pytest.approx(0.35)  # 0, 0, 0 and, with the scale of the others, 0.5


def test_a_task_that_cannot_time_its_networks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "find", lambda _name: object())
    with pytest.raises(InvalidInput, match="the task classification cannot time its networks"):
        measure(TableRequest("fbnetv3-small", DIGITS), date="", clock=lambda: 0.0, progress=print)


# ---- tables by name ------------------------------------------------------------------------------------------------


def test_a_name_that_is_taken_is_refused(settings: Settings) -> None:
    latency_tables.check_name(settings, "laptop", replace=False)
    latency_tables.save(settings, "laptop", small_table())
    assert [name for name, _ in latency_tables.every(settings)] == ["laptop"]
    with pytest.raises(Conflict, match="there is a latency table laptop"):
        latency_tables.check_name(settings, "laptop", replace=False)
    latency_tables.check_name(settings, "laptop", replace=True)


@pytest.mark.parametrize("name", ["../laptop", "", ".laptop", "a/b", "x" * 65, "laptop@0123456789abcdef"])
def test_a_name_leads_nowhere_else(settings: Settings, name: str) -> None:
    with pytest.raises(InvalidInput, match="/name"):
        latency_tables.check_name(settings, name, replace=True)


# ---- in a job ------------------------------------------------------------------------------------------------------


@pytest.fixture
def timed(document: Document, settings: Settings) -> Document:
    """A spec with a latency table and a limit on it."""
    latency_tables.save(settings, "laptop", small_table())
    space = {"name": "fbnetv3-small", "latency": "laptop"}
    return {**document, "space": space, "constraints": [{"metric": "latency", "max": 0.1}]}


def fault(service: Service, document: Document) -> tuple[str, str]:
    """Return (pointer, message) of the only fault."""
    with pytest.raises(InvalidInput) as refused:
        service.jobs.submit(document)
    assert len(refused.value.faults) == 1, refused.value.faults
    return refused.value.faults[0].pointer, refused.value.faults[0].message


def test_latency_limits_candidates_before_training(service: Service, timed: Document) -> None:
    plan = service.jobs.plan(timed)
    assert [str(one) for one in plan.hard] == ["latency <= 0.1"]
    assert 0 < plan.feasible_share < 1
    assert all(one.costs["latency"] <= 0.1 and one.costs["flops"] > 0 for one in plan.candidates)


def test_latency_can_be_an_objective(service: Service, timed: Document) -> None:
    objectives = [{"metric": "accuracy"}, {"metric": "latency", "goal": "minimize"}]
    plan = service.jobs.plan({**timed, "objectives": objectives})
    assert all(one.costs["latency"] > 0 for one in plan.candidates)
    assert service.jobs.submit({**timed, "objectives": objectives})[1]


def test_the_job_keeps_which_table_it_was(service: Service, timed: Document, settings: Settings) -> None:
    job, _ = service.jobs.submit(timed)
    assert isinstance(job.spec.space, NamedSpace)
    assert job.spec.space.latency == f"laptop@{small_table().digest}"
    resolve(job.spec, trusted=True, settings=settings)
    latency_tables.save(settings, "laptop", small_table(scale=2.0))
    with pytest.raises(InvalidInput, match=r"/space/latency: the table laptop had the digest .* when it was chosen"):
        resolve(job.spec, trusted=True, settings=settings)
    assert fault(service, job.spec.document())[0] == "/space/latency"


def test_without_a_table_latency_is_not_known(service: Service, timed: Document) -> None:
    pointer, message = fault(service, {**timed, "space": {"name": "fbnetv3-small"}})
    assert pointer == "/constraints/0/metric"
    assert "does not measure 'latency'" in message


def test_an_unknown_table_is_named_with_those_there_are(service: Service, timed: Document) -> None:
    timed = {**timed, "constraints": [], "space": {"name": "fbnetv3-small", "latency": "phone"}}
    assert fault(service, timed) == ("/space/latency", "no latency table 'phone'; there are laptop")


def test_a_table_of_another_space_is_refused(service: Service, timed: Document, settings: Settings) -> None:
    latency_tables.save(settings, "laptop", small_table(shape=(1, 28, 28)))
    pointer, message = fault(service, {**timed, "constraints": []})
    assert pointer == "/space/latency"
    assert "1 x 28 x 28 in 10 classes not for fbnetv3-small on images of 1 x 8 x 8" in message


def test_a_fixed_resolution_takes_the_table_of_its_shape(service: Service, timed: Document, settings: Settings) -> None:
    shipped, info = catalogue.find("fbnetv3-small"), replace(DIGITS, shape=(1, 16, 16))
    table = table_of(networks.operators_for(shipped.space, info, shipped.constants), shape=info.shape)
    latency_tables.save(settings, "larger", table)
    space = {"name": "fbnetv3-small", "fix": {"resolution": 16}}
    service.jobs.submit({**timed, "constraints": [], "space": {**space, "latency": "larger"}})
    document = {**timed, "constraints": [], "space": {**space, "latency": "laptop"}}
    with pytest.raises(InvalidInput, match="1 x 8 x 8 in 10 classes not for fbnetv3-small on images of 1 x 16 x 16"):
        service.jobs.submit(document)


def test_a_searched_resolution_makes_the_sides_of_the_images_irrelevant(
    service: Service, timed: Document, settings: Settings
) -> None:
    shipped, info = catalogue.find("fbnetv3"), replace(DIGITS, shape=(1, 224, 224))
    table = table_of(networks.operators_for(shipped.space, info, shipped.constants), space="fbnetv3", shape=info.shape)
    latency_tables.save(settings, "full", table)
    plan = service.jobs.plan({**timed, "constraints": [], "space": {"name": "fbnetv3", "latency": "full"}})
    assert {one.costs["latency"] > 0 for one in plan.candidates} == {True}


def test_a_gene_beyond_the_shipped_space_is_not_in_its_table(service: Service, timed: Document) -> None:
    space = {"name": "fbnetv3-small", "latency": "laptop", "fix": {"e6b": 7}}
    pointer, message = fault(service, {**timed, "constraints": [], "space": space})
    assert pointer == "/space/latency"
    assert "operators of this space, such as Operator(kind='block'" in message


def test_a_reference_is_a_name_and_a_digest(timed: Document) -> None:
    for wrong in ("../laptop", "laptop@12", "laptop@"):
        with pytest.raises(InvalidInput, match="/space/latency"):
            JobSpec.parse({**timed, "space": {"name": "fbnetv3-small", "latency": wrong}})

"""Operators built to be timed are those of the built networks, and timing them works on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from searchsvc.domain import DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.spaces import catalogue, networks
from searchsvc.spaces.networks import complete
from tests.support.latency import DIGITS, operators_of_values
from workers.latency import TorchBench, module_of
from workers.models import build


@pytest.mark.parametrize(
    ("name", "info"),
    [("fbnetv3-small", DIGITS), ("fbnetv3-released", DatasetInfo("photos", ("a", "b"), (3, 64, 64), {}))],
)
def test_operators_in_a_row_are_the_network(name: str, info: DatasetInfo) -> None:
    shipped = catalogue.find(name)
    (candidate,) = shipped.space.from_matrix(shipped.space.sample(1, np.random.default_rng(4)))
    values = {**shipped.constants, **candidate.values}
    with torch.device("meta"):
        whole = build(complete(values), info.shape, len(info.classes))
        operators = operators_of_values(values, info.shape)
        modules = [module_of(one, len(info.classes)) for one in operators]
    shapes = [tuple(one.shape) for one in whole.state_dict().values()]
    assert [tuple(one.shape) for module in modules for one in module.state_dict().values()] == shapes
    first = operators[0]
    maps = torch.zeros(1, first.inputs, first.height, first.width, device="meta")
    for operator, module in zip(operators, modules, strict=True):
        assert tuple(maps.shape) == (1, operator.inputs, operator.height, operator.width)
        maps = module.eval()(maps)
    assert tuple(maps.shape) == (1, len(info.classes))


@pytest.fixture
def threads() -> Iterator[None]:
    """The number of threads as it was, afterwards."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_larger_operators_and_batches_take_longer() -> None:
    shipped = catalogue.find("fbnetv3-small")
    info = replace(DIGITS, shape=(1, 64, 64))
    blocks = [one for one in networks.operators_for(shipped.space, info, shipped.constants) if one.kind == "block"]
    blocks.sort(key=lambda one: one.height * one.width * one.mid)
    single, many = (TorchBench(info, device="cpu", batch=batch, threads=1) for batch in (1, 16))
    calls = [single.operator(blocks[0]), single.operator(blocks[-1]), many.operator(blocks[-1])]
    times = [min(call() for _ in range(8)) for call in calls]
    assert 0 < times[0] < times[1] < times[2]


@pytest.mark.usefixtures("threads")
def test_one_thread_is_timed_by_its_own_clock_and_several_by_that_on_the_wall() -> None:
    clocks = [TorchBench(DIGITS, device="cpu", batch=1, threads=threads).device.clock for threads in (1, 2)]
    assert clocks == ["processor time of the thread", "wall"]


def test_a_device_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(InvalidInput, match="/device: PyTorch finds no CUDA device"):
        TorchBench(DIGITS, device="cuda", batch=1, threads=1)


@pytest.mark.gpu
def test_cuda_events_time_operators() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    shipped = catalogue.find("fbnetv3-small")
    bench = TorchBench(DIGITS, device="cuda", batch=1, threads=1)
    call = bench.operator(networks.operators_for(shipped.space, DIGITS, shipped.constants)[0])
    call()
    assert 0 < call() < 1000
    assert bench.device.clock == "CUDA events"

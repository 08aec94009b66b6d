"""A search from its task to its finalists: the same bits with and without interruptions, limits that hold."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from searchsvc.algorithms.autohas import AutohasOptions
from searchsvc.domain import Constraint, FailureKind, Fidelity, Measurement, Objective, SharedSearch, TrialTask
from searchsvc.errors import TrialFailed
from searchsvc.spaces import Categorical, Float, Integer, Space, find, networks
from workers.autohas import Differentiable, Draw, ParameterDistributions, Reinforce
from workers.autohas.limits import CostLimits, FeasibleSampler
from workers.autohas.run import search
from workers.data import classification as data
from workers.tasks.classification import TASK

SHIPPED = find("fbnetv3-small")
SPACE = Space(
    [
        Categorical("n3", (1, 2, 3)),
        Integer("c5", 32, 64, 8),
        Categorical("optimizer", ("rmsprop", "sgd")),
        Categorical("ema", (True, False)),
        Float("ema_decay", 0.5, 0.9, when={"ema": [True]}),
        Float("lr", 0.0005, 0.02, log=True),
        Float("dropout", 0.0, 0.3, 0.1),
        Categorical("batch_size", (32, 64)),
    ]
)
DATASET = {"name": "digits"}
Make = Callable[..., TrialTask]
Whole = tuple[TrialTask, list[Measurement]]


def costs(matrix: np.ndarray) -> dict[str, np.ndarray]:
    model = networks.cost_model_for("classification", SPACE, data.load(DATASET).info, SHIPPED.constants)
    return dict(model(matrix))


def made(directory: Path, *, hard: tuple[Constraint, ...] = (), epochs: int = 2, **options: Any) -> TrialTask:
    few = {"logs_per_epoch": 2, "controller_every": 1, "scored": 4, "finalists": 3, "reward_images": 64}
    values = {**few, **options}
    return TrialTask(
        trial_id="t",
        attempt=1,
        task="classification",
        dataset=DATASET,
        values=SHIPPED.constants,
        fidelity=Fidelity(epochs=epochs, data_fraction=0.2),
        objective=Objective(metric="accuracy"),
        seed=3,
        directory=str(directory),
        search=SharedSearch(SPACE.parameters, hard, costs, AutohasOptions(**values).model_dump()),
    )


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda name="one", **options: made(tmp_path / name, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A search without interruptions."""
    task = made(tmp_path_factory.mktemp("whole"))
    return task, list(search(task))


def metrics(measured: list[Measurement]) -> list[tuple[int, dict[str, float]]]:
    return [(one.step, dict(one.metrics)) for one in measured]


def checkpointed(task: TrialTask) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(Path(task.directory) / "last.pt", weights_only=True)
    return state


@pytest.mark.parametrize("measured", [1, 2])
def test_one_closed_after_any_measurement_goes_on_to_the_same_bits(make: Make, whole: Whole, measured: int) -> None:
    running = search(make())
    first = [next(running) for _ in range(measured)]
    running.close()  # type: ignore[attr-defined]
    rest = list(search(replace(make(), stored_step=measured)))
    assert metrics([*first, *rest]) == metrics(whole[1])
    resumed, expected = (checkpointed(task)["learner"]["memory"] for task in (make(), whole[0]))
    assert torch.equal(resumed, expected)


def test_it_measures_what_it_says_and_ends_with_finalists_of_the_space(whole: Whole) -> None:
    assert [one.step for one in whole[1]] == [1, 2, 3, 4]
    first, last = whole[1][0].metrics, whole[1][-1].metrics
    assert {"reward", "train_loss", "entropy", "baseline", "rejected", "skipped"} <= first.keys()
    assert sum(last[f"p/n3/{option}"] for option in range(3)) == pytest.approx(1.0)
    assert last["entropy"] == pytest.approx(sum(last[f"entropy/{name}"] for name in SPACE.names))
    assert last["entropy/n3"] < first["entropy/n3"] == pytest.approx(np.log(3))
    assert not any(name.startswith("finalist/") for name in first)
    finalists = {name.split("/")[1] for name in last if name.startswith("finalist/")}
    assert finalists == {"0", "1", "2"}
    for rank in finalists:
        row = [last.get(f"finalist/{rank}/{name}", np.nan) for name in SPACE.names]
        assert SPACE.contains(SPACE.from_matrix(np.array([row]))[0]) is None


def test_its_file_tells_the_distributions_and_the_finalists(whole: Whole) -> None:
    directory = Path(whole[0].directory)
    assert TASK.files(directory) == ("distributions.json",)
    report = json.loads((directory / "distributions.json").read_text())
    assert [one["option"] for one in report["distributions"]["c5"]] == [32, 40, 48, 56, 64]
    assert report["distributions"]["ema"][0]["probability"] == pytest.approx(whole[1][-1].metrics["p/ema/0"])
    assert [one["rank"] for one in report["finalists"]] == [0, 1, 2]
    rewards = [one["reward"] for one in report["finalists"][1:]]
    assert rewards == sorted(rewards, reverse=True)
    assert report["derived"].keys() >= {"n3", "lr"}


def test_a_checkpoint_of_another_search_is_not_gone_on_from(whole: Whole) -> None:
    other = next(search(replace(whole[0], seed=4)))
    assert other.step == 1
    assert other.metrics != whole[1][0].metrics


def test_the_differentiable_variant_goes_on_to_the_same_bits(make: Make) -> None:
    options = {"variant": "differentiable", "epochs": 1, "logs_per_epoch": 2, "controller_every": 2}
    whole, running = list(search(make("whole", **options))), search(make(**options))
    first = next(running)
    running.close()  # type: ignore[attr-defined]
    assert metrics([first, *search(replace(make(**options), stored_step=1))]) == metrics(whole)
    assert "baseline" not in first.metrics


def test_finalists_break_no_hard_limit(make: Make) -> None:
    drawn = costs(SPACE.sample(64, np.random.default_rng(0)))["params"]
    limit = Constraint(metric="params", max=float(np.quantile(drawn, 0.3)))
    last = list(search(make(hard=(limit,), epochs=1)))[-1].metrics
    ranks = {name.split("/")[1] for name in last if name.startswith("finalist/")}
    rows = np.array([[last.get(f"finalist/{rank}/{name}", np.nan) for name in SPACE.names] for rank in ranks])
    assert (costs(rows)["params"] <= limit.max).all()
    assert last["rejected"] > 0


class Together:
    """Processes as threads: each waits until all have passed their tensor."""

    def __init__(self, size: int) -> None:
        self.barrier, self.tensors = threading.Barrier(size, timeout=60), [torch.empty(0)] * size

    def of(self, rank: int) -> Member:
        return Member(self, rank, len(self.tensors))


class Member:
    def __init__(self, together: Together, rank: int, size: int) -> None:
        self._together, self.rank, self.size = together, rank, size

    def mean(self, tensor: Tensor) -> None:
        tensor.copy_(torch.stack(self._all(tensor)).mean(0))

    def same(self, tensor: Tensor) -> None:
        tensor.copy_(self._all(tensor)[0])

    def _all(self, tensor: Tensor) -> list[Tensor]:
        self._together.tensors[self.rank] = tensor.clone()
        self._together.barrier.wait()
        tensors = list(self._together.tensors)
        self._together.barrier.wait()
        return tensors


def test_processes_that_search_together_keep_the_same_distributions(make: Make) -> None:
    together, measurements = Together(2), {}

    def run(rank: int) -> None:
        torch.manual_seed(rank)
        measurements[rank] = list(search(make(epochs=1), together.of(rank)))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics(measurements[0]) == metrics(measurements[1])
    assert measurements[0][-1].metrics["entropy"] < measurements[0][0].metrics["entropy"]


def drawn(limits: CostLimits, count: int, space: Space = SPACE) -> Iterator[dict[str, Any]]:
    options = Space(one for one in space.parameters if not isinstance(one, Float))
    sampler = FeasibleSampler(ParameterDistributions(options), limits)
    for draw in sampler(count, torch.Generator().manual_seed(0)):
        yield dict(draw.candidate.values)


def widths(matrix: np.ndarray) -> dict[str, np.ndarray]:
    return {"width": matrix[:, 1], "depth": matrix[:, 0] + 1}


def test_draws_break_no_hard_limit() -> None:
    limits = CostLimits((Constraint(metric="width", max=40), Constraint(metric="depth", min=2)), (), widths)
    for values in drawn(limits, 300):
        assert values["c5"] <= 40
        assert values["n3"] >= 2


def test_a_limit_that_leaves_nothing_is_a_failure_that_names_it() -> None:
    limits = CostLimits((Constraint(metric="depth", min=1), Constraint(metric="width", max=10)), (), widths)
    with pytest.raises(TrialFailed, match="width <= 10 leaves 0 of") as caught:
        list(drawn(limits, 1))
    assert caught.value.kind is FailureKind.INFEASIBLE


def test_a_soft_limit_takes_its_excess_off() -> None:
    limits = CostLimits((), ({"metric": "width", "max": 40.0, "weight": 0.5},), widths)
    assert limits.judge(np.array([[0.0, 32.0], [0.0, 40.0], [0.0, 64.0]]))[1] == pytest.approx([0.0, 0.0, 0.3])


@pytest.mark.parametrize("variant", [Reinforce, Differentiable])
def test_a_soft_limit_moves_the_distributions(variant: type[Reinforce] | type[Differentiable]) -> None:
    space = Space([Categorical("n3", (1, 2, 3)), Integer("c5", 32, 64, 8)])
    limits = CostLimits((), ({"metric": "width", "max": 40.0, "weight": 0.5},), widths)
    made = ParameterDistributions(space)
    controller = variant(made, steps=60, learning_rate=0.2, sampler=FeasibleSampler(made, limits))
    random = torch.Generator().manual_seed(0)
    for _ in range(60):
        controller.step(Indifferent(), None, None, random)
    assert made.by_name()["c5"].softmax(0)[:2].sum() > 0.8  # from 0.4: the widths that break nothing


class Indifferent:
    """A model for which all candidates are equally good."""

    def shared_weights(self, _: Draw) -> dict[str, Tensor]:
        return {}

    def look_ahead(self, _: Draw, __: Any, ___: Any = None) -> dict[str, Tensor]:
        return {}

    def reward(self, *_: Any) -> float:
        return 0.5

    def validation_loss(self, *_: Any) -> Tensor:
        return torch.tensor(0.5)

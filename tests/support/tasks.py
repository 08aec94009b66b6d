"""Tasks that train nothing, so that tests and benchmarks can end trials in every possible way.

`install` registers them like an installed package: a `*.dist-info` folder with entry points on PYTHONPATH.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from searchsvc.domain import (
    Basis,
    Categorical,
    DatasetInfo,
    ExportFormat,
    Integer,
    Measurement,
    Metric,
    Parameter,
    Scalar,
    SharedSearch,
    TrialTask,
)
from searchsvc.domain.parameters import number
from searchsvc.errors import Fault, InvalidInput
from searchsvc.spaces import Space, with_bases

REPOSITORY = Path(__file__).parents[2]
CHECKPOINT, WEIGHTS = "last.pt", "model.safetensors"


class NoOp:
    """Measures a number per epoch, without delay."""

    name = "noop"
    description = "one number, without any training"
    metrics = (Metric("score", "maximize", "", "x"), Metric("cost", "minimize", "", "x squared"))
    default_parameters: Mapping[str, Scalar] = {"x": 0.5}
    exports: Mapping[str, ExportFormat] = {}

    def datasets(self) -> tuple[tuple[str, str], ...]:
        return (("nothing", "no data"),)

    def inspect(self, dataset: Mapping[str, Any], seed: int) -> DatasetInfo:  # noqa: ARG002 - the seam's
        return DatasetInfo("nothing", ("a", "b"), (1, 1, 1), {"train": 1, "validation": 1, "test": 1})

    def train(self, task: TrialTask) -> Iterator[Measurement]:
        x = number(task.values["x"])
        for step in range(1, task.fidelity.epochs + 1):
            yield Measurement(step, {"score": x, "cost": x * x}, 0.0)

    def files(self, directory: Path) -> tuple[str, ...]:  # noqa: ARG002 - the seam's
        return ()

    def test(self, task: TrialTask) -> Mapping[str, float]:
        return {"score": number(task.values["x"])}

    def export(self, format: str, task: TrialTask, destination: Path) -> None:  # noqa: A002 - the seam's
        raise NotImplementedError(format)


class Scripted(NoOp):
    """Follows its parameters: `fate` strikes at the second epoch of every attempt up to number `strikes`.

    Its checkpoint holds the measurements; every epoch that really runs adds a line to `epochs.txt`.
    """

    name = "scripted"
    default_parameters: Mapping[str, Scalar] = {"x": 0.5, "fate": "fine", "strikes": 99, "seconds": 0.0}

    def train(self, task: TrialTask) -> Iterator[Measurement]:
        values = {**self.default_parameters, **task.values}
        x = number(values["x"])
        for step in self._steps(task, values, str(values["fate"])):
            yield self._measured(step, math.nan if values["fate"] == "diverge" and step == 2 else x)

    def _steps(self, task: TrialTask, values: Mapping[str, Scalar], fate: str) -> Iterator[int]:
        """Yield the steps to be reported, each with its checkpoint on disk."""
        folder = Path(task.directory)
        done = int((folder / CHECKPOINT).read_text()) if (folder / CHECKPOINT).exists() else 0
        for step in range(1, done + 1):
            if step > task.stored_step:
                yield step
        for step in range(done + 1, task.last_step + 1):
            with (folder / "epochs.txt").open("a") as lines:
                lines.write(f"{task.attempt} {step} {sorted(os.environ)}\n")
            time.sleep(number(values["seconds"]))
            if step == 2 and task.attempt <= number(values["strikes"]):
                _strike(fate)
            partial = folder / f"{CHECKPOINT}.new"
            partial.write_text(str(step))
            partial.replace(folder / CHECKPOINT)
            (folder / WEIGHTS).write_text(str(step))
            yield step

    def files(self, directory: Path) -> tuple[str, ...]:
        return (WEIGHTS,) if (directory / WEIGHTS).exists() else ()

    def test(self, task: TrialTask) -> Mapping[str, float]:
        if not (Path(task.directory) / WEIGHTS).exists():
            raise FileNotFoundError(f"no weights in {task.directory}")
        return super().test(task)

    def _measured(self, step: int, x: float) -> Measurement:
        return Measurement(step, {"score": x * (1 - 0.5**step), "cost": x * x}, float(step))


def _strike(fate: str) -> None:
    if fate == "crash" or (fate == "bad_node" and "BAD_NODE" in os.environ):
        os.kill(os.getpid(), signal.SIGKILL)
    elif fate == "hang":
        time.sleep(1e6)
    elif fate == "oom":
        raise MemoryError("no room for this network")
    elif fate == "error":
        raise ValueError("this network cannot be built")


class Sharing(Scripted):
    """Also has supernets, which follow the parameters with a single choice: `supernet` is their fate.

    Their finalists depend only on the seed. Every distribution moves to its last option, which it reaches at the end.
    """

    name = "sharing"
    rewards = ("score",)
    default_parameters: Mapping[str, Scalar] = {**Scripted.default_parameters, "supernet": "fine"}

    def check_search(
        self,
        parameters: Sequence[Parameter],
        constants: Mapping[str, Scalar],  # noqa: ARG002 - the seam's
        dataset: DatasetInfo,  # noqa: ARG002 - the seam's
        options: Mapping[str, Any],  # noqa: ARG002 - the seam's
    ) -> None:
        if wrong := [one for one in parameters if isinstance(one, Integer)]:
            raise InvalidInput(Fault(f"/space/{one.name}", "whole numbers share nothing: fix it") for one in wrong)

    def search(self, task: TrialTask) -> Iterator[Measurement]:
        assert task.search is not None
        fixed = {one.name: one.choices[0] for one in task.search.parameters if isinstance(one, Categorical)}
        values = {**self.default_parameters, **fixed}
        for step in self._steps(task, values, str(values["supernet"])):
            metrics = searched(task.search, step, task.last_step)
            if step == task.last_step:
                metrics |= named(task.search, task.search.options["finalists"], task.seed)
            yield Measurement(step, metrics, float(step))


class Together(Sharing):
    """Has supernets with several processes. Their reward at a step is the step times the mean of the ranks, from 1 on.

    `supernet` is the fate of the last rank. Every process adds a line to `processes.txt`: attempt, rank, pid.
    """

    name = "together"

    def search(self, task: TrialTask, exchange: Any = None) -> Iterator[Measurement]:
        import torch

        assert task.search is not None
        fixed = {one.name: one.choices[0] for one in task.search.parameters if isinstance(one, Categorical)}
        values = {**self.default_parameters, **fixed}
        folder = Path(task.directory)
        with (folder / "processes.txt").open("a") as lines:
            lines.write(f"{task.attempt} {exchange.rank} {os.getpid()}\n")
        done = int((folder / CHECKPOINT).read_text()) if (folder / CHECKPOINT).exists() else 0
        for step in range(done + 1, task.last_step + 1):
            time.sleep(number(values["seconds"]))
            if exchange.rank == exchange.size - 1 and step == 2 and task.attempt <= number(values["strikes"]):
                _strike(str(values["supernet"]))
            reward = torch.tensor([step * (exchange.rank + 1.0)])
            exchange.mean(reward)
            if exchange.rank == 0:
                (folder / CHECKPOINT).write_text(str(step))
            metrics = {"reward": float(reward)}
            if step == task.last_step:
                metrics |= named(task.search, task.search.options["finalists"], task.seed)
            yield Measurement(step, metrics, float(step))


def searched(search: SharedSearch, step: int, last: int) -> dict[str, float]:
    """Return the measurement of a supernet whose distributions have moved by step / last."""
    space = with_bases(Space(search.parameters), search.options["basis_values"])
    measured = {"reward": step / last, "train_loss": 1 / step, "baseline": 0.5, "rejected": 3.0, "skipped": 0.0}
    for parameter in space.parameters:
        options = _options(parameter)
        shares = np.full(options, (1 - step / last) / options)
        shares[-1] += step / last
        measured |= {f"p/{parameter.name}/{index}": float(share) for index, share in enumerate(shares)}
        measured[f"entropy/{parameter.name}"] = -float(np.sum(shares * np.log(np.maximum(shares, 1e-300))))
    return {**measured, "entropy": sum(value for name, value in measured.items() if name.startswith("entropy/"))}


def _options(parameter: Parameter) -> int:
    if isinstance(parameter, Categorical):
        return len(parameter.choices)
    if isinstance(parameter, Basis):
        return len(parameter.values)
    return int(parameter.high - parameter.low) // int(parameter.step or 1) + 1


def named(search: SharedSearch, count: int, seed: int) -> dict[str, float]:
    """Return the finalists of a supernet's last measurement: draws from the space."""
    space = Space(search.parameters)
    rows = space.sample(count, np.random.default_rng(seed))
    places = [(rank, name, row[column]) for rank, row in enumerate(rows) for column, name in enumerate(space.names)]
    return {f"finalist/{rank}/{name}": float(value) for rank, name, value in places if not math.isnan(value)}


NOOP, SCRIPTED, SHARING, TOGETHER = NoOp(), Scripted(), Sharing(), Together()


def install(folder: Path) -> str:
    """Write the entry points into `folder`; return the PYTHONPATH under which a process can load these tasks."""
    info = folder / "searchsvc_testing-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: searchsvc-testing\nVersion: 1.0\n")
    module = "tests.support.tasks"
    entries = "".join(f"{one.name} = {module}:{one.name.upper()}\n" for one in (NOOP, SCRIPTED, SHARING, TOGETHER))
    (info / "entry_points.txt").write_text(f"[searchsvc.tasks]\n{entries}")
    return os.pathsep.join([str(folder), str(REPOSITORY)])

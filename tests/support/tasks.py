"""Tasks that train nothing, so that tests and benchmarks can make trials end in every way there is.

`install` makes them known as an installed package would: a `*.dist-info` folder with entry points on PYTHONPATH.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from searchsvc.domain import DatasetInfo, ExportFormat, Measurement, Metric, Scalar, TrialTask

REPOSITORY = Path(__file__).parents[2]
CHECKPOINT, WEIGHTS = "last.pt", "model.safetensors"


class NoOp:
    """One number per epoch, at once."""

    name = "noop"
    metrics = (Metric("score", "maximize", "", "x"), Metric("cost", "minimize", "", "x squared"))
    default_parameters: Mapping[str, Scalar] = {"x": 0.5}
    exports: Mapping[str, ExportFormat] = {}

    def datasets(self) -> tuple[tuple[str, str], ...]:
        return (("nothing", "no data"),)

    def inspect(self, dataset: Mapping[str, Any], seed: int) -> DatasetInfo:  # noqa: ARG002 - the seam's
        return DatasetInfo("nothing", ("a", "b"), (1, 1, 1), {"train": 1, "validation": 1, "test": 1})

    def train(self, task: TrialTask) -> Iterator[Measurement]:
        x = float(task.values["x"])
        for step in range(1, task.fidelity.epochs + 1):
            yield Measurement(step, {"score": x, "cost": x * x}, 0.0)

    def files(self, directory: Path) -> tuple[str, ...]:  # noqa: ARG002 - the seam's
        return ()

    def test(self, task: TrialTask) -> Mapping[str, float]:
        return {"score": float(task.values["x"])}

    def export(self, format: str, task: TrialTask, destination: Path) -> None:  # noqa: A002 - the seam's
        raise NotImplementedError(format)


class Scripted(NoOp):
    """Follows its parameters: `fate` strikes at the second epoch of every attempt up to number `strikes`.

    Its checkpoint holds what was measured; every epoch that is really run is a line of `epochs.txt`.
    """

    name = "scripted"
    default_parameters: Mapping[str, Scalar] = {"x": 0.5, "fate": "fine", "strikes": 99, "seconds": 0.0}

    def train(self, task: TrialTask) -> Iterator[Measurement]:
        values = {**self.default_parameters, **task.values}
        folder, x = Path(task.directory), float(values["x"])
        done = int((folder / CHECKPOINT).read_text()) if (folder / CHECKPOINT).exists() else 0
        for step in range(1, done + 1):
            if step > task.stored_step:
                yield self._measured(step, x)
        for step in range(done + 1, task.fidelity.epochs + 1):
            with (folder / "epochs.txt").open("a") as lines:
                lines.write(f"{task.attempt} {step} {sorted(os.environ)}\n")
            time.sleep(float(values["seconds"]))
            if step == 2 and task.attempt <= int(values["strikes"]):
                _strike(str(values["fate"]))
            partial = folder / f"{CHECKPOINT}.new"
            partial.write_text(str(step))
            partial.replace(folder / CHECKPOINT)
            (folder / WEIGHTS).write_text(str(step))
            yield self._measured(step, math.nan if values["fate"] == "diverge" and step == 2 else x)

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


NOOP, SCRIPTED = NoOp(), Scripted()


def install(folder: Path) -> str:
    """Write the entry points into `folder`; the PYTHONPATH under which a process finds these tasks."""
    info = folder / "searchsvc_testing-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: searchsvc-testing\nVersion: 1.0\n")
    module = "tests.support.tasks"
    (info / "entry_points.txt").write_text(f"[searchsvc.tasks]\nnoop = {module}:NOOP\nscripted = {module}:SCRIPTED\n")
    return os.pathsep.join([str(folder), str(REPOSITORY)])

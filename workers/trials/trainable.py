"""The Tune trainable: a thin shell around TrialRun, an actor that runs one attempt after another.

If several processes train a supernet, it is rank 0; the others are its Peers. A result is the product of one call of
`step`: a Measurement, an Outcome, or both (after the last epoch).
"""

from __future__ import annotations

import faulthandler
import gc
import os
from enum import StrEnum
from functools import cache
from typing import Any, TextIO

import ray
from ray import tune

from searchsvc.domain import Artifact, FailureKind, Measurement, Outcome, Resources, TrialState, TrialTask
from searchsvc.tasks import find
from workers.trials.files import LOG, home_of
from workers.trials.peers import Peers
from workers.trials.run_trial import TrialRun, run_test

TASK, FILES, INSTRUCTION, RESOURCES, AVOIDED = "task", "files", "instruction", "resources", "avoided"
"""Keys of a configuration: a TrialTask, its stored Artifacts (of a test), an Instruction, Resources, ids of nodes."""
MEASUREMENT, OUTCOME, TEST, DONE = "measurement", "outcome", "test", "done"
"""Keys of a result."""
GRACE_SECONDS = 5.0
"""Time after a trial's limit before its process is ended: for the current epoch, and for loading the data."""


class Instruction(StrEnum):
    """A worker's task for a trial."""

    TRAIN = "train"
    STOP = "stop"
    """Only end it as a result: the stopping rule had stopped it when an earlier attempt was lost."""
    TEST = "test"
    """Measure its best weights on the test split."""


class Worker(tune.Trainable):  # type: ignore[misc]  # ray has no types
    """A process on a node of the cluster."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return resource_request(config[RESOURCES], config[AVOIDED], config[TASK].workers)

    def setup(self, config: dict[str, Any]) -> None:
        self._find = cache(find)  # scanning all installed packages takes longer than a short trial
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._end()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        if self._instruction is Instruction.TEST:
            return {MEASUREMENT: None, OUTCOME: None, TEST: run_test(self._task, self._files, self._find), DONE: True}
        if self._instruction is Instruction.STOP:
            return self._ended(None, stop=True)
        measurement = next(self._run, None)
        if measurement is None or measurement.step >= self._task.last_step:
            return self._ended(measurement)
        return {MEASUREMENT: measurement, OUTCOME: None, DONE: False}

    def end_early(self) -> None:
        """Let the next step end the trial as a result."""
        self._instruction = Instruction.STOP

    def place(self) -> tuple[str, str, int]:
        """Return (id of the node, its address, pid of this process)."""
        return ray.get_runtime_context().get_node_id(), ray.util.get_node_ip_address(), os.getpid()

    def cleanup(self) -> None:
        self._end()

    def _begin(self, config: dict[str, Any]) -> None:
        self._task: TrialTask = config[TASK]
        self._files: list[Artifact] = config[FILES]
        self._instruction = Instruction(config[INSTRUCTION])
        self._peers = Peers()
        self._run = TrialRun(self._task, self._find, self._peers.join if self._task.workers > 1 else None)
        self._log = self._watch()

    def _ended(self, measurement: Measurement | None, *, stop: bool = False) -> dict[str, Any]:
        """Return the last result. Files are complete and memory is released before."""
        if stop:
            outcome = self._run.stop()
        elif next(self._run, None) is None:
            outcome = self._peers.explained(self._run.outcome())
        else:
            outcome = Outcome(TrialState.FAILED, FailureKind.ERROR, "the task went on after its last epoch")
        self._end()
        return {MEASUREMENT: measurement, OUTCOME: outcome, DONE: True}

    def _end(self) -> None:
        self._run.close()
        self._peers.close()
        if self._log is not None:
            faulthandler.cancel_dump_traceback_later()
            self._log.close()
            self._log = None
        if self._task.device != "cpu":
            gc.collect()

    def _watch(self) -> TextIO | None:
        """Have a stack trace written to the trial's log shortly before the driver ends it for exceeding its limit.

        Return the open log, or None if there is no limit or the log cannot be written.
        """
        if self._task.trial_seconds is None:
            return None
        try:
            home_of(self._task).mkdir(parents=True, exist_ok=True)
            log = (home_of(self._task) / LOG).open("a")
        except OSError:
            return None
        faulthandler.dump_traceback_later(self._task.trial_seconds + GRACE_SECONDS - 1.0, file=log)
        return log


def resource_request(
    resources: Resources, avoided: tuple[str, ...] = (), workers: int = 1
) -> tune.PlacementGroupFactory:
    """Return Ray's resource request of a trial with `workers` processes.

    They are placed on as few nodes as possible, none of them avoided.
    """
    bundles = [bundle_of(resources)] * workers
    if not avoided:
        return tune.PlacementGroupFactory(bundles)
    elsewhere = {"ray.io/node-id": f"!in({','.join(sorted(avoided))})"}
    return tune.PlacementGroupFactory(bundles, bundle_label_selector=[elsewhere] * workers)


def bundle_of(resources: Resources) -> dict[str, float]:
    """Return the resources of a process, such as {"CPU": 1.0}: amounts above 0 only."""
    amounts = {"CPU": resources.cpu, "GPU": resources.gpu, "memory": float(resources.memory_bytes)}
    return {name: amount for name, amount in amounts.items() if amount > 0}

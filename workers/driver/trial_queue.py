"""The next configuration for Tune to run: a waiting or new trial, or the test of a winner."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from searchsvc.domain import Trial
from searchsvc.store import Store
from workers.driver.attempts import ActiveAttempt, ActiveAttempts
from workers.driver.heartbeat import Heartbeat
from workers.driver.interruption import StopRequests, interrupting
from workers.driver.ledger import Ledger, OpenTrial
from workers.driver.placement import Placement
from workers.driver.trial_tasks import TaskBuilder
from workers.driver.volume import ArtifactsVolume
from workers.driver.winners import winners
from workers.trials.trainable import AVOIDED, FILES, INSTRUCTION, RESOURCES, TASK, Instruction

NO_MORE: Mapping[str, Any] = MappingProxyType({})
RECYCLE_ATTEMPTS = 2_000
"""Attempts in a Tune run: Tune keeps about 25 kB of each until the run ends."""
RECYCLE_ROUNDS = 25
"""On a large cluster, this many attempts per slot instead, so that waiting for the last attempts costs little."""


class TrialQueue:
    """Decides which trial Tune runs next. A job's queue serves all of its Tune runs."""

    def __init__(
        self,
        ledger: Ledger,
        heartbeat: Heartbeat,
        placement: Placement,
        store: Store,
        tasks: TaskBuilder,
        requests: StopRequests,
        attempts: ActiveAttempts,
        volume: ArtifactsVolume,
    ) -> None:
        self._ledger, self._heartbeat, self._placement, self._store = ledger, heartbeat, placement, store
        self._tasks, self._requests, self._attempts, self._volume = tasks, requests, attempts, volume
        self._submitted_in_run = 0
        self._untested: list[Trial] | None = None
        """Winners still to be tested; None until nothing is left to train."""

    def begin_run(self) -> None:
        """Start a new Tune run, which shares no attempts with the previous run."""
        self._submitted_in_run = 0
        self._attempts.clear()

    def has_more(self) -> bool:
        """True if anything is left to run, now that no attempt is active."""
        with interrupting():
            self._requests.check()
            return not self._is_trained() or bool(self._untested_winners())

    def next_config(self, key: str) -> Mapping[str, Any] | None:
        """Return the configuration that Tune runs next under `key`.

        None if nothing can start now; NO_MORE if this Tune run is over.
        """
        with interrupting():
            self._requests.check()
            if self._volume.reason is not None and not self._attempts:
                return NO_MORE  # without attempts, Tune would ask again and again and call nothing else
            if not self._is_trained() and not self._is_run_full():
                config = self._next_attempt(key)
                if config is not None or not self._is_trained():
                    return config
            if any(attempt.test is None for attempt in self._attempts.values()):
                return None  # a failed attempt may have to be repeated before winners are tested
            if self._is_trained() and (untested := self._untested_winners()):
                return self._next_test(key, untested)
            return None if self._attempts else NO_MORE

    def reconsider_winners(self) -> None:
        """Determine the untested winners again: trials or test attempts have changed."""
        self._untested = None

    def _next_attempt(self, key: str) -> Mapping[str, Any] | None:
        room = self._placement.slots() - len(self._attempts)
        if room <= 0 or self._volume.reason is not None:
            return None
        trial = self._ledger.next_trial(room, self._heartbeat.job.spec.budget.trials, idle=not self._attempts)
        if trial is None:
            return None
        config = self._config(trial, Instruction.STOP if trial.stop else Instruction.TRAIN)
        self._attempts[key] = ActiveAttempt(trial, submitted=time.monotonic(), workers=config[TASK].workers)
        self._submitted_in_run += 1
        return config

    def _next_test(self, key: str, untested: list[Trial]) -> Mapping[str, Any] | None:
        if self._placement.slots() <= len(self._attempts):
            return None
        winner = untested.pop(0)
        trial = OpenTrial(winner.id, winner.number, winner.proposal, winner.attempts - 1, step=winner.step)
        self._attempts[key] = ActiveAttempt(trial, submitted=time.monotonic(), test=winner)
        files = self._store.artifacts(winner.id)
        return {**self._config(trial, Instruction.TEST), TASK: self._tasks.test(trial, files), FILES: files}

    def _config(self, trial: OpenTrial, instruction: Instruction) -> Mapping[str, Any]:
        return {
            TASK: self._tasks.build(trial),
            FILES: [],
            INSTRUCTION: instruction,
            RESOURCES: self._placement.resources,
            AVOIDED: tuple(sorted(self._placement.avoided)),
        }

    def _is_trained(self) -> bool:
        """True if no attempt begins any more, unless an active attempt has to be repeated."""
        if self._heartbeat.draining:
            return True
        spent = self._ledger.exhausted or self._ledger.existing >= self._heartbeat.job.spec.budget.trials
        return spent and not self._ledger.waiting

    def _is_run_full(self) -> bool:
        return self._submitted_in_run >= max(RECYCLE_ATTEMPTS, RECYCLE_ROUNDS * self._placement.slots())

    def _untested_winners(self) -> list[Trial]:
        """Return the winners whose best weights are not measured on the test split yet."""
        if self._untested is None:
            self._ledger.flush()
            spec = self._heartbeat.job.spec
            best = winners(self._store.all_trials(self._heartbeat.job.id), spec.objectives, spec.constraints)
            self._untested = [trial for trial in best if trial.test_metrics is None]
        return self._untested

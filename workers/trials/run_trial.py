"""An attempt at a trial of any task: a plain function, usable without Ray.

This is the only module with an `except Exception` around a trial: every error becomes an Outcome.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from searchsvc.checksums import sha256_of
from searchsvc.domain.metrics import Measurement
from searchsvc.domain.records import Artifact
from searchsvc.domain.states import Decision, TrialState
from searchsvc.domain.task import SupernetTask, Task
from searchsvc.domain.trial_task import FileMade, Outcome, TrialTask
from searchsvc.errors import FailureKind, TrialFailed
from searchsvc.tasks import find
from workers.trials import checkpoint_file, folders
from workers.trials.boundary import check_stored, checked, checked_metrics, checked_names
from workers.trials.failures import explained
from workers.trials.files import home_of, note

T = TypeVar("T")
Report = Callable[[Measurement], Decision]
TestResult: TypeAlias = dict[str, float] | Outcome
"""Metrics on the test split, or a failure."""


def run_trial(task: TrialTask, report: Report, tasks: Callable[[str], Task] = find) -> Outcome:
    """Train to the end, or until `report` returns STOP. `tasks` finds a task by its name."""
    run = TrialRun(task, tasks)
    try:
        for measurement in run:
            if report(measurement) is Decision.STOP:
                return run.stop()
        return run.outcome()
    finally:
        run.close()


def run_test(task: TrialTask, files: Sequence[Artifact], tasks: Callable[[str], Task] = find) -> TestResult:
    """Measure a finished trial on the test split. `files`: its stored files, which must be undamaged."""

    def measured() -> dict[str, float]:
        check_stored(Path(task.directory), files)
        metrics = tasks(task.task).test(task)
        return checked_metrics(metrics, task=task.task, place="on the test split")

    failures: list[Outcome] = []
    metrics = guarded(measured, lambda *why: failures.append(Outcome(TrialState.FAILED, *why)))
    return failures[0] if metrics is None else metrics


class TrialRun:
    """An attempt as an iterator of measurements. Errors of the trial do not raise: they end the iteration.

    ::

        run = TrialRun(task)
        for measurement in run: ...     # continues from the checkpoint of an earlier attempt
        run.outcome()                   # SUCCEEDED, or FAILED with its kind

        run.stop()                      # instead of continuing: STOPPED, with the weights of the best step
        run.close()                     # instead of continuing: CANCELLED

    The checkpoint always stays: until the outcome is stored, another attempt may have to end the trial again.
    """

    def __init__(
        self, task: TrialTask, tasks: Callable[[str], Task] = find, exchange: Callable[[TrialTask], Any] | None = None
    ) -> None:
        """Create the attempt.

        `exchange` creates the Exchange of a supernet that several processes train, when the training begins.
        """
        self._task, self._tasks, self._exchange = task, tasks, exchange
        self._trainer: Task | None = None
        self._training: Iterator[Measurement] | None = None
        self._outcome: Outcome | None = None
        self._last: Measurement | None = None

    def __iter__(self) -> Iterator[Measurement]:
        return self

    def __next__(self) -> Measurement:
        if self._outcome is None:
            measurement = guarded(self._step, self._fail)
            if measurement is not None:
                return measurement
        raise StopIteration

    def outcome(self) -> Outcome:
        """Return the outcome, which exists after the iteration has ended, or after `stop` or `close`."""
        if self._outcome is None:
            raise RuntimeError("the trial is still running")
        return self._outcome

    def stop(self) -> Outcome:
        """End the attempt early, as a result; its measurements count."""
        if self._outcome is None:
            guarded(lambda: self._succeed(TrialState.STOPPED), self._fail)
        return self.outcome()

    def close(self) -> None:
        """End the attempt at once, without a result."""
        if self._outcome is None:
            self._release()
            self._end(Outcome(TrialState.CANCELLED))

    def _step(self) -> Measurement | None:
        """Return the next measurement, or None if the trial has succeeded."""
        if self._training is None:
            self._training = _training(self._begin(), self._task, self._exchange)
        self._check_time()
        measurement = next(self._training, None)
        if measurement is None:
            self._succeed(TrialState.SUCCEEDED)
            return None
        after = self._last.step if self._last is not None else 0
        measurement = checked(measurement, task=self._task.task, after=after)
        self._last = measurement
        self._log(
            f"step {measurement.step}: {' '.join(f'{name}={value:.6g}' for name, value in measurement.metrics.items())}"
        )
        return measurement

    def _begin(self) -> Task:
        """Find the task, and give the attempt its folder."""
        home_of(self._task).mkdir(parents=True, exist_ok=True)
        self._trainer = self._tasks(self._task.task)
        self._task = folders.begin(self._task)
        self._log(f"attempt {self._task.attempt} of trial {self._task.trial_id} on {self._task.device}")
        return self._trainer

    def _check_time(self) -> None:
        """Enforce the time limit for tasks that do not; a trial that has taken its last step may end."""
        limit, last = self._task.trial_seconds, self._last
        if limit is None or last is None or last.seconds <= limit or last.step >= self._task.last_step:
            return
        raise TrialFailed(FailureKind.TIMED_OUT, f"trained for {last.seconds:.1f} s; the limit is {limit:g} s")

    def _succeed(self, state: TrialState) -> None:
        """End with a result.

        A trial that is stopped before the first step of this attempt has the files of an earlier attempt.
        """
        trainer = self._trainer or self._begin()
        self._release()
        directory = Path(self._task.directory)
        _check_best_files(directory)
        folder = directory.name if self._task.trial_directory is not None else ""
        names = checked_names(trainer.files(directory), task=self._task.task)
        files = tuple(_described(directory / name, folder) for name in names)
        self._end(Outcome(state, files=files))

    def _fail(self, kind: FailureKind, message: str) -> None:
        self._release()
        self._end(Outcome(TrialState.FAILED, kind, message))

    def _release(self) -> None:
        """Release the model and its memory on a GPU."""
        training, self._training = self._training, None
        close = getattr(training, "close", None)
        if close is not None:
            close()
        del training, close
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def _end(self, outcome: Outcome) -> None:
        self._outcome = outcome
        reason = f" {outcome.failure.value}: {outcome.message}" if outcome.failure else ""
        self._log(f"{outcome.state.value}{reason}")

    def _log(self, line: str) -> None:
        note(self._task, line)


def guarded(action: Callable[[], T], failed: Callable[[FailureKind, str], None]) -> T | None:
    """Return the result of `action`.

    If it raises, call `failed` with the kind of failure and the message, and return None.
    """
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - whatever a trial does wrong becomes its outcome
        failed(*explained(error))
        return None


def _training(trainer: Task, task: TrialTask, exchange: Callable[[TrialTask], Any] | None) -> Iterator[Measurement]:
    if task.search is None:
        return trainer.train(task)
    if not isinstance(trainer, SupernetTask):
        raise TrialFailed(FailureKind.ERROR, f"task {task.task!r} trains no supernets: it has no `search`")
    return trainer.search(task) if exchange is None else trainer.search(task, exchange(task))


def _check_best_files(directory: Path) -> None:
    """Raise TrialFailed if a file of the best step is not the file that the checkpoint names."""
    stored = checkpoint_file.read(directory)
    if stored is None or stored.best is None:
        return
    if name := checkpoint_file.damaged(directory, stored.best):
        message = f"{name} of step {stored.best.step} is damaged: its SHA-256 is not the one in the checkpoint"
        raise TrialFailed(FailureKind.ERROR, message)
    checkpoint_file.settle(directory, stored.best)


def _described(path: Path, folder: str) -> FileMade:
    return FileMade(path.name, path.stat().st_size, sha256_of(path), folder)

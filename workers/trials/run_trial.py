"""An attempt at a trial of any task: a plain function, usable without Ray.

This is the only module with an `except Exception` around a trial: every error becomes an Outcome.
"""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from searchsvc.checksums import sha256_of
from searchsvc.domain.metrics import Measurement
from searchsvc.domain.states import Decision, TrialState
from searchsvc.domain.task import SupernetTask, Task
from searchsvc.domain.trial_task import FileMade, Outcome, TrialTask
from searchsvc.errors import FailureKind, SearchsvcError, TrialFailed
from searchsvc.tasks import find
from workers.trials.files import note

CHECKPOINT = "last.pt"


T = TypeVar("T")
Report = Callable[[Measurement], Decision]


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


class TrialRun:
    """An attempt as an iterator of measurements. Errors of the trial do not raise: they end the iteration.

    ::

        run = TrialRun(task)
        for measurement in run: ...     # continues from the checkpoint in the task's directory
        run.outcome()                   # SUCCEEDED, or FAILED with its kind

        run.stop()                      # instead of continuing: STOPPED, with the weights of the best step
        run.close()                     # instead of continuing: CANCELLED, the checkpoint stays
    """

    def __init__(
        self, task: TrialTask, tasks: Callable[[str], Task] = find, exchange: Callable[[], Any] | None = None
    ) -> None:
        """Create the attempt.

        `exchange` creates the Exchange of a supernet that several processes train, when the training begins.
        """
        self._task, self._tasks, self._exchange = task, tasks, exchange
        self._directory = Path(task.directory)
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
        """End the attempt at once, without a result; a later attempt continues from the checkpoint."""
        if self._outcome is None:
            self._release()
            self._end(Outcome(TrialState.CANCELLED))

    def _step(self) -> Measurement | None:
        """Return the next measurement, or None if the trial has succeeded."""
        if self._training is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._log(f"attempt {self._task.attempt} of trial {self._task.trial_id} on {self._task.device}")
            self._trainer = self._tasks(self._task.task)
            self._training = _training(self._trainer, self._task, self._exchange)
        self._check_time()
        measurement = next(self._training, None)
        if measurement is None:
            self._succeed(TrialState.SUCCEEDED)
            return None
        _check_finite(measurement)
        self._last = measurement
        self._log(
            f"step {measurement.step}: {' '.join(f'{name}={value:.6g}' for name, value in measurement.metrics.items())}"
        )
        return measurement

    def _check_time(self) -> None:
        """Enforce the time limit for tasks that do not; a trial that has taken its last step may end."""
        limit, last = self._task.trial_seconds, self._last
        if limit is None or last is None or last.seconds <= limit or last.step >= self._task.last_step:
            return
        raise TrialFailed(FailureKind.TIMED_OUT, f"trained for {last.seconds:.1f} s; the limit is {limit:g} s")

    def _succeed(self, state: TrialState) -> None:
        self._release()
        files = tuple(_described(self._directory / name) for name in self._files())
        (self._directory / CHECKPOINT).unlink(missing_ok=True)
        self._end(Outcome(state, files=files))

    def _files(self) -> tuple[str, ...]:
        """Return the result files.

        A trial that is stopped before the first step of this attempt has the files of an earlier attempt.
        """
        trainer = self._trainer or self._tasks(self._task.task)
        return trainer.files(self._directory)

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
        note(self._directory, line)


def guarded(action: Callable[[], T], failed: Callable[[FailureKind, str], None]) -> T | None:
    """Return the result of `action`.

    If it raises, call `failed` with the kind of failure and the message, and return None.
    """
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - whatever a trial does wrong becomes its outcome
        failed(*_explained(error))
        return None


def _training(trainer: Task, task: TrialTask, exchange: Callable[[], Any] | None) -> Iterator[Measurement]:
    if task.search is None:
        return trainer.train(task)
    if not isinstance(trainer, SupernetTask):
        raise TrialFailed(FailureKind.ERROR, f"task {task.task!r} trains no supernets: it has no `search`")
    return trainer.search(task) if exchange is None else trainer.search(task, exchange())


def _explained(error: Exception) -> tuple[FailureKind, str]:
    """Return (kind, message); an unexpected error has its traceback as message."""
    if isinstance(error, TrialFailed):
        return error.kind, str(error)
    if isinstance(error, SearchsvcError):
        return FailureKind.ERROR, f"{type(error).__name__}: {error}"
    kind = FailureKind.OUT_OF_MEMORY if _is_out_of_memory(error) else FailureKind.ERROR
    return kind, "".join(traceback.format_exception(error))


def _is_out_of_memory(error: Exception) -> bool:
    """True if an error means that memory is exhausted, decided without importing torch.

    torch raises OutOfMemoryError on a GPU, and a plain RuntimeError on the host.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    on_host = "RuntimeError" in names and "DefaultCPUAllocator: can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or "OutOfMemoryError" in names or on_host


def _check_finite(measurement: Measurement) -> None:
    for name, value in measurement.metrics.items():
        if not math.isfinite(value):
            raise TrialFailed(FailureKind.DIVERGED, f"{name} became {value} at step {measurement.step}")


def _described(path: Path) -> FileMade:
    return FileMade(path.name, path.stat().st_size, sha256_of(path))

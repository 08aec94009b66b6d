"""Heavy work in child processes, which give their memory back when they end.

Building a network, exporting it or planning a search imports torch and more: hundreds of megabytes that a process
never gives back. A child is started when it is needed, serves a few calls, and ends when it has been idle for a while.

A child runs `searchsvc.service.child`, which calls a use case of a Service of its own on the same database.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Any

from searchsvc import processes
from searchsvc.errors import RuntimeUnavailable
from searchsvc.settings import Settings

AT_ONCE = 2
"""Children per kind of work: one kind cannot delay another."""
LONGEST_SECONDS = 900.0
IDLE_SECONDS = 30.0
CALLS = 20
"""Calls that a child serves before it ends."""
_RETRY_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChildFailure:
    """An error in a child that searchsvc did not raise on purpose."""

    text: str


class ChildEnded(Exception):
    """A child ended without an answer."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}")


class ChildProcesses:
    """Calls use cases in child processes, at most a few at once of each kind of work."""

    def __init__(
        self, settings: Settings, *, longest_seconds: float = LONGEST_SECONDS, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        """Start nothing yet. `longest_seconds`: time after which a call counts as hung and its child is killed."""
        self._settings, self._longest_seconds, self._idle_seconds = settings, longest_seconds, idle_seconds
        self._lock = threading.Lock()
        self._turns: dict[str, threading.BoundedSemaphore] = {}
        self._idle: dict[str, list[_Child]] = {}
        self._children: set[_Child] = set()

    def run(self, kind: str, call: str, *arguments: Any, **named: Any) -> Any:
        """Call a use case, such as `jobs.plan`, and return its result.

        Raises the errors of the use case, and RuntimeUnavailable if its process dies or takes too long.
        """
        with self._turn(kind), self._child(kind) as child:
            try:
                return self._called(child, call, arguments, named)
            except ChildEnded as ended:
                if ended.exit_code != 0 or not child.served:
                    raise self._died(call, ended) from None
        with self._turn(kind), self._new(kind) as child:  # the other had just ended because it was idle
            try:
                return self._called(child, call, arguments, named)
            except ChildEnded as ended:
                raise self._died(call, ended) from None

    def close(self) -> None:
        """Kill all children."""
        with self._lock:
            children = list(self._children)
        for child in children:
            child.kill()

    def pids(self) -> list[int]:
        """Return the processes of living children."""
        with self._lock:
            return [child.process.pid for child in self._children if child.process.poll() is None]

    def _forget(self, child: _Child) -> None:
        self._children.discard(child)
        child.end()

    def _called(self, child: _Child, call: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        is_over, answer = child.call((call, arguments, named), self._longest_seconds)
        if not is_over:
            child.kill()
            message = f"{call} was ended: it took longer than {self._longest_seconds:g} s"
            raise RuntimeUnavailable(message)
        if isinstance(answer, ChildFailure):
            raise RuntimeError(f"{call} failed in its process:\n{answer.text}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _died(self, call: str, ended: ChildEnded) -> RuntimeUnavailable:
        _log.error("the process of %s ended: %s", call, ended)
        error = RuntimeUnavailable(f"the process that carried out {call} ended ({ended}), perhaps for lack of memory")
        error.retry_after_seconds = _RETRY_SECONDS
        return error

    @contextlib.contextmanager
    def _turn(self, kind: str) -> Iterator[None]:
        with self._lock:
            turns = self._turns.setdefault(kind, threading.BoundedSemaphore(AT_ONCE))
        with turns:
            yield

    @contextlib.contextmanager
    def _child(self, kind: str) -> Iterator[_Child]:
        """Yield an idle child, or a new one; afterwards it is idle, if it can serve more calls."""
        with self._lock:
            idle = self._idle.setdefault(kind, [])
            for other in [other for other in idle if other.process.poll() is not None]:
                idle.remove(other)
                self._forget(other)
            child = idle.pop() if idle else None
        if child is None:
            with self._new(kind) as new:
                yield new
        else:
            with self._used(kind, child):
                yield child

    @contextlib.contextmanager
    def _new(self, kind: str) -> Iterator[_Child]:
        child = _Child.start(self._settings, self._idle_seconds)
        with self._lock:
            self._children.add(child)
        with self._used(kind, child):
            yield child

    @contextlib.contextmanager
    def _used(self, kind: str, child: _Child) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                if child.process.poll() is None and child.served < CALLS:
                    self._idle.setdefault(kind, []).append(child)
                else:
                    self._forget(child)


class _Child:
    """A child process, and the connection to it."""

    def __init__(self, process: subprocess.Popen[bytes], connection: Connection) -> None:
        self.process, self._connection = process, connection
        self.served = 0

    @classmethod
    def start(cls, settings: Settings, idle_seconds: float) -> _Child:
        """Start a child. Raises RuntimeUnavailable if that fails."""
        ours, theirs = Pipe()
        command = processes.program("searchsvc.service.child", str(theirs.fileno()), str(idle_seconds))
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                env=settings.environment(),
                cwd=settings.logs_dir,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise RuntimeUnavailable(f"a process cannot be started: {error}") from error
        finally:
            theirs.close()
        # A child that ends while it is idle must not stay behind as a zombie.
        threading.Thread(target=process.wait, name=f"end of child {process.pid}", daemon=True).start()
        return cls(process, ours)

    def call(self, message: Any, seconds: float) -> tuple[bool, Any]:
        """Send a call and return (True, answer), or (False, None) after a time. Raises ChildEnded."""
        try:
            self._connection.send(message)
            if not self._connection.poll(seconds):
                return False, None
            answer = self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise ChildEnded(self.process.wait()) from None
        self.served += 1
        return True, answer

    def end(self) -> None:
        """Let the child end: it does so when the connection is closed."""
        self._connection.close()

    def kill(self) -> None:
        """Kill the child and everything that it has started."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

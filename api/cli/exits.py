"""Exit codes, and the report of an error: in red, one `place: message` per line, without a traceback.

With `--json`, standard output holds one document: the answer or, as in REST, the problem (RFC 9457).

| code | meaning |
|---|---|
| 0 | done |
| 1 | the job failed or was cancelled, a check found something wrong, the output cannot be written |
| 2 | wrong usage, or input that is not valid |
| 3 | no such job, trial, space, ... |
| 4 | conflict: not possible in the job's current state, or beyond a limit of the token |
| 5 | no token, an unknown token, or a token whose scope does not allow the request |
| 6 | the service, the database or Ray does not answer |
| 124 | `wait --timeout` ran out |
| 130 | interrupted |
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import typer
from typer._click.exceptions import ClickException

from api.cli import streams
from api.problems import INTERNAL, KINDS, ErrorKind
from searchsvc import errors


class Exit(IntEnum):
    """The exit code of a command."""

    OK = 0
    FAILED = 1
    INVALID = 2
    NOT_FOUND = 3
    CONFLICT = 4
    AUTH = 5
    UNREACHABLE = 6
    TIMED_OUT = 124
    INTERRUPTED = 130


class ProblemReceived(Exception):
    """The service answered with problem details (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(problem.get("detail") or problem.get("title") or f"HTTP {status}")

    def lines(self) -> list[str]:
        """Return a line per fault, or the detail if the problem names no place."""
        faults = self.problem.get("errors", ())
        return [f"{fault.get('pointer') or '/'}: {fault.get('message')}" for fault in faults] or [str(self)]


class Unreachable(Exception):
    """Nothing answers at the address of the service."""


class TimedOut(Exception):
    """The command has waited for as long as it was told to."""


class Broken(Exception):
    """Carries an interrupt or an error of the system past typer, which would end the process by itself."""

    def __init__(self, cause: KeyboardInterrupt | OSError) -> None:
        self.cause = cause
        super().__init__(str(cause))


_STATUSES = {
    401: Exit.AUTH,
    403: Exit.AUTH,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    429: Exit.CONFLICT,
    502: Exit.UNREACHABLE,
    503: Exit.UNREACHABLE,
}
_USAGE = ErrorKind("usage", 400, "Wrong usage")
_ABORTED = ErrorKind("aborted", 400, "Not confirmed")
_INTERRUPTED = ErrorKind("interrupted", 499, "Interrupted")
_SYSTEM = ErrorKind("system", 500, "The operating system refused")
_UNREACHABLE = ErrorKind("unreachable", 503, "The service does not answer")
_TIMED_OUT = ErrorKind("timed-out", 504, "The time has run out")


def exit_of(status: int) -> Exit:
    """Return the exit code for an HTTP status that is not a success."""
    if status in _STATUSES:
        return _STATUSES[status]
    return Exit.INVALID if 400 <= status < 500 else Exit.FAILED


@dataclass(frozen=True, slots=True)
class Report:
    """An error as it is printed."""

    code: Exit
    kind: ErrorKind
    lines: Sequence[str] = ()
    faults: Sequence[errors.Fault] = ()
    received: Mapping[str, Any] | None = None
    """The problem, if a service has sent one."""

    def document(self) -> Mapping[str, Any]:
        """Return the problem details, in the form that REST has."""
        return self.received or {
            "type": f"/problems/{self.kind.slug}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": "; ".join(self.lines) or self.kind.title,
            "instance": "searchctl",
            "errors": [{"pointer": fault.pointer, "message": fault.message} for fault in self.faults],
        }


def report_of(error: BaseException) -> Report | None:
    """Return the report of an error that a user can cause; None for bugs."""
    if isinstance(error, Broken):
        return report_of(error.cause)
    if isinstance(error, ProblemReceived):
        return Report(exit_of(error.status), INTERNAL, error.lines(), received=error.problem)
    if isinstance(error, errors.InvalidInput):
        return Report(Exit.INVALID, KINDS[errors.InvalidInput], [str(fault) for fault in error.faults], error.faults)
    if isinstance(error, errors.SearchsvcError):
        kind = next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), INTERNAL)
        code = Exit.FAILED if isinstance(error, errors.StoreOutdated) else exit_of(kind.status)
        return Report(code, kind, [str(error)])
    return _report_of_command(error)


def _report_of_command(error: BaseException) -> Report | None:
    """Return the report of an error that the command met by itself: on the way to the service, or on this machine."""
    if isinstance(error, BrokenPipeError):
        return Report(Exit.OK, _SYSTEM)
    if isinstance(error, OSError):
        place = "the output cannot be written" if error.filename is None else f"{error.filename}"
        return Report(Exit.FAILED, _SYSTEM, [f"{place}: {error.strerror or error}"])
    kinds: dict[type[BaseException], tuple[Exit, ErrorKind]] = {
        ClickException: (Exit.INVALID, _USAGE),
        Unreachable: (Exit.UNREACHABLE, _UNREACHABLE),
        TimedOut: (Exit.TIMED_OUT, _TIMED_OUT),
        typer.Abort: (Exit.FAILED, _ABORTED),
        KeyboardInterrupt: (Exit.INTERRUPTED, _INTERRUPTED),
    }
    code, kind = next((found for cls, found in kinds.items() if isinstance(error, cls)), (None, None))
    if code is None or kind is None:
        return None
    text = error.format_message() if isinstance(error, ClickException) else str(error) or kind.title
    return Report(code, kind, text.splitlines())


@contextmanager
def reported(*, as_json: bool) -> Iterator[None]:
    """End the process after an error inside the block, with a report on stderr; bugs keep their traceback."""
    try:
        yield
        sys.stdout.flush()
    except Exception as error:
        report = report_of(error)
        if as_json:
            _print_problem(report or Report(Exit.FAILED, INTERNAL, [f"{type(error).__name__}: {error}"]))
        if report is None:
            raise
        with suppress(OSError):
            if isinstance(error, ClickException):
                error.show()
            else:
                _print_lines(report.lines)
        streams.finish()
        sys.exit(report.code)


def _print_problem(report: Report) -> None:
    if report.code is not Exit.OK:
        with suppress(OSError):
            text = json.dumps(report.document(), indent=2, ensure_ascii=not streams.is_unicode(sys.stdout))
            sys.stdout.write(text + "\n")
            sys.stdout.flush()


def _print_lines(lines: Sequence[str]) -> None:
    from api.cli.output import console  # rich: takes longer to load than most commands run

    for line in lines:
        console(stderr=True).print(line, style="red", markup=False, soft_wrap=True)

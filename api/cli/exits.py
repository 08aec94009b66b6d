"""Exit codes, and the report of an error: in red, one `place: message` per line, without a traceback.

| code | meaning |
|---|---|
| 0 | done |
| 1 | the job failed or was cancelled, a check found something wrong |
| 2 | wrong usage, or input that is not valid |
| 3 | no such job, trial, space, ... |
| 4 | conflict: not possible in the job's current state, or beyond a limit of the token |
| 5 | no token, an unknown token, or a token whose scope does not allow the request |
| 6 | the service, the database or Ray does not answer |
| 124 | `wait --timeout` ran out |
| 130 | interrupted |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import typer

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


_STATUSES = {
    401: Exit.AUTH,
    403: Exit.AUTH,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    429: Exit.CONFLICT,
    502: Exit.UNREACHABLE,
    503: Exit.UNREACHABLE,
}
_ERRORS: tuple[tuple[type[Exception], Exit], ...] = (
    (errors.InvalidInput, Exit.INVALID),
    (errors.NothingFeasible, Exit.INVALID),
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.Conflict, Exit.CONFLICT),
    (errors.LimitExceeded, Exit.CONFLICT),
    (errors.Unauthenticated, Exit.AUTH),
    (errors.Forbidden, Exit.AUTH),
    (errors.StoreUnavailable, Exit.UNREACHABLE),
    (errors.RuntimeUnavailable, Exit.UNREACHABLE),
    (Unreachable, Exit.UNREACHABLE),
)


def exit_of(status: int) -> Exit:
    """Return the exit code for an HTTP status that is not a success."""
    if status in _STATUSES:
        return _STATUSES[status]
    return Exit.INVALID if 400 <= status < 500 else Exit.FAILED


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors inside the block into red lines on stderr and an exit code; bugs keep their traceback."""
    try:
        yield
    except ProblemReceived as problem:
        _end(problem.lines(), exit_of(problem.status))
    except errors.InvalidInput as error:
        _end([str(fault) for fault in error.faults], Exit.INVALID)
    except (errors.SearchsvcError, Unreachable) as error:
        code = next((code for kind, code in _ERRORS if isinstance(error, kind)), Exit.FAILED)
        _end([str(error)], code)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    except BrokenPipeError:
        raise typer.Exit(Exit.OK) from None


def _end(lines: list[str], code: Exit) -> None:
    for line in lines:
        typer.secho(line, fg=typer.colors.RED, err=True)
    raise typer.Exit(code) from None

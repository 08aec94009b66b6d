"""All errors that searchsvc raises on purpose.

::

    SearchsvcError
    ├── InvalidInput          the user's input is wrong; carries one Fault per place
    ├── NotFound              no such job, trial, space, algorithm, ...
    ├── Conflict              not possible in the current state of a job, trial or other object
    │   └── RequestUnderWay   a request with that idempotency key is being carried out at this moment
    ├── Unauthenticated       no token, or a token that is unknown, expired or revoked
    ├── Forbidden             a valid token whose scope is not sufficient
    ├── LimitExceeded         the limit of a token is reached: requests per minute, open jobs, ...
    ├── NothingFeasible       no candidate within the hard constraints was found in the stated number of tries
    ├── LeaseLost             another driver runs the job now; nothing was written
    ├── StoreUnavailable      the database did not answer in time
    ├── Unstorable            a value that the database cannot hold, such as NaN; nothing was written
    ├── StoreOutdated         the database schema is not at the version of this code
    ├── RuntimeUnavailable    an external part (Ray, a driver process) could not be reached or started
    └── TrialFailed           a trial ended without a result; carries its FailureKind
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import Any


class SearchsvcError(Exception):
    """The base class of all errors raised on purpose."""

    retry_after_seconds: float | None = None
    """Time after which the same operation may succeed; None: unknown, or never."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake in a document: a JSON pointer (RFC 6901) to the place, and a message that says how to correct it."""

    pointer: str
    message: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.message}"


def pointer(*steps: int | str) -> str:
    """Return the JSON pointer of keys and indices, with `~` and `/` in keys escaped."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


class InvalidInput(SearchsvcError):
    """The user's input is wrong. `faults` lists all mistakes at once, not only the first."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.faults,)

    @classmethod
    def at(cls, pointer: str, message: str) -> InvalidInput:
        return cls([Fault(pointer, message)])

    def below(self, pointer: str) -> InvalidInput:
        """Return the error with pointers into a larger document that holds the current document at `pointer`."""
        return InvalidInput(Fault(pointer + fault.pointer, fault.message) for fault in self.faults)


@contextmanager
def below(pointer: str) -> Iterator[None]:
    """Prefix `pointer` to the faults that the block raises: their document is a part of a larger document.

    The cause of the error stays, since a broken file system is no mistake of the user.
    """
    try:
        yield
    except InvalidInput as error:
        raise error.below(pointer) from error.__cause__


class FaultCollector:
    """Collects the faults of several checks, so that a user sees all of them at once.

    ::

        faults = FaultCollector()
        with faults.at("/space/fix"):
            fixed = space.fix(values)  # an InvalidInput ends the block; the code after it runs
        faults.raise_any()
    """

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def at(self, pointer: str = "") -> _Collecting:
        """Collect the faults of an InvalidInput that the block raises, with `pointer` before their own pointers."""
        return _Collecting(self._faults, pointer)

    def add(self, faults: Iterable[Fault]) -> None:
        """Collect faults that were found without raising; their pointers are complete."""
        self._faults += faults

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults collected so far."""
        return tuple(self._faults)

    def raise_any(self) -> None:
        """Raise InvalidInput with the faults collected so far, each of them once. Do nothing if there are none."""
        if self._faults:
            raise InvalidInput(dict.fromkeys(self._faults))


@dataclass(frozen=True, slots=True)
class _Collecting:
    """The context manager of `FaultCollector.at`; a class, so that type checkers see that it swallows exceptions."""

    faults: list[Fault]
    pointer: str

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, InvalidInput):
            return False
        self.faults.extend(error.below(self.pointer).faults)
        return True


class NotFound(SearchsvcError):
    """The named object does not exist."""


class Conflict(SearchsvcError):
    """The operation is not possible in the current state of the object."""


class RequestUnderWay(Conflict):
    """A request with that idempotency key is being carried out at this moment."""

    retry_after_seconds: float

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(RequestUnderWay, retry_after_seconds=self.retry_after_seconds), (str(self),)


class Unauthenticated(SearchsvcError):
    """No token, or a token that is unknown, expired or revoked."""


class Forbidden(SearchsvcError):
    """The token is valid, but its scope is not sufficient."""


class LimitExceeded(SearchsvcError):
    """A token has reached a limit; the message names the limit, the use, and how to go on."""

    retry_after_seconds: float

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(LimitExceeded, retry_after_seconds=self.retry_after_seconds), (str(self),)


class NothingFeasible(SearchsvcError):
    """No candidate within the hard constraints was found in the stated number of tries."""


class LeaseLost(SearchsvcError):
    """The lease on a job is held under a newer epoch. The write that raised this error changed nothing."""


class StoreUnavailable(SearchsvcError):
    """The database did not answer within the time allowed."""


class Unstorable(SearchsvcError):
    """A value cannot be stored, for example because it is NaN or not plain data. Nothing was written."""


class StoreOutdated(SearchsvcError):
    """The schema of the database is not at the version that this code requires."""


class RuntimeUnavailable(SearchsvcError):
    """Ray, a driver process or another external part could not be reached or started."""


class FailureKind(StrEnum):
    """The kind of a trial's failure."""

    INFEASIBLE = "INFEASIBLE"  # broke a hard limit that shows only when the network is built
    DIVERGED = "DIVERGED"  # a loss or metric became NaN or infinite
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    LOST = "LOST"  # the worker process or its node died
    STORAGE = "STORAGE"  # a file system is full, read-only or broken
    TIMED_OUT = "TIMED_OUT"
    ERROR = "ERROR"

    @property
    def is_retried(self) -> bool:
        """True if another attempt can end differently, because the machine and not the candidate is to blame."""
        return self in (FailureKind.LOST, FailureKind.OUT_OF_MEMORY, FailureKind.STORAGE)

    @property
    def counts_as_attempt(self) -> bool:
        """True if the failure counts towards the job's limit of attempts, since the candidate may have caused it."""
        return self is not FailureKind.STORAGE


class TrialFailed(SearchsvcError):
    """A trial ended without a result."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        self.kind = kind
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return TrialFailed, (self.kind, str(self))

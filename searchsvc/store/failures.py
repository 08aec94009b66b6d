"""Errors of the two databases, and what to do about each of them.

A statement of ours is constant and tested, so an error is either about the values that a caller passed, or about the
database: it restarts, fails over, is restored, is full, has a new password. The second kind passes. It is also the
default: an error that nobody foresaw must not end a service that can wait.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError


class Remedy(Enum):
    """Remedy for an error of the database."""

    RAISE = auto()
    """Nothing: the statement or its values are wrong."""
    REPEAT = auto()
    """Repeating the transaction."""
    RECONNECT = auto()
    """Repeating the transaction on a new connection, which may lead to another server."""
    REPORT = auto()
    """Waiting is useless: a person must act."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A kind of error: the remedy, and its meaning for an operator."""

    remedy: Remedy
    meaning: str


_UNKNOWN = Failure(Remedy.RECONNECT, "it reports an error")
_UNREACHABLE = Failure(Remedy.RECONNECT, "it cannot be reached")
_WRONG = Failure(Remedy.RAISE, "the statement or its values are wrong")
_INCOMPLETE = Failure(
    Remedy.RECONNECT, "it lacks a part of the schema; it may be in the middle of a restore or upgrade"
)

POSTGRES_CLASSES: Mapping[str, Failure] = MappingProxyType(
    {
        "08": Failure(Remedy.RECONNECT, "the connection failed"),
        "0A": _WRONG,
        "21": _WRONG,
        "22": _WRONG,
        "23": _WRONG,
        "25": Failure(Remedy.RECONNECT, "it refuses the transaction"),
        "26": Failure(Remedy.RECONNECT, "the session was replaced; a pooler in transaction mode does that"),
        "28": Failure(Remedy.RECONNECT, "it refuses the user or the password"),
        "3D": Failure(Remedy.RECONNECT, "there is no such database; it may be in the middle of a restore"),
        "3F": _INCOMPLETE,
        "40": Failure(Remedy.REPEAT, "other transactions are in the way"),
        "42": _WRONG,
        "44": _WRONG,
        "53": Failure(Remedy.REPEAT, "it is out of disk space, memory or connections"),
        "54": _WRONG,
        "55": Failure(Remedy.RECONNECT, "it is not ready for this"),
        "57": Failure(Remedy.RECONNECT, "it starts, stops or was told to end the session"),
        "58": Failure(Remedy.RECONNECT, "its machine reports an error"),
        "F0": Failure(Remedy.RECONNECT, "its configuration file is wrong"),
        "XX": Failure(Remedy.RECONNECT, "it reports damaged data or an internal error"),
    }
)
"""Kinds of errors by class, the first two characters of SQLSTATE. Other classes are `RECONNECT`."""

POSTGRES_STATES: Mapping[str, Failure] = MappingProxyType(
    {
        "25006": Failure(Remedy.RECONNECT, "it accepts no writes; it may be a standby"),
        "25P03": Failure(Remedy.RECONNECT, "it ended a session that was idle in a transaction"),
        "42501": Failure(Remedy.RECONNECT, "the user lacks a permission"),
        "42703": _INCOMPLETE,
        "42704": _INCOMPLETE,
        "42883": _INCOMPLETE,
        "42P01": _INCOMPLETE,
        "55P03": Failure(Remedy.REPEAT, "another transaction holds a lock"),
        "57014": Failure(Remedy.REPEAT, "it cancelled the statement"),
    }
)
"""SQLSTATEs that differ from their class."""

_LOCKED = Failure(Remedy.REPEAT, "another process keeps it locked")
_UNUSABLE = Failure(Remedy.REPORT, "its file cannot be used")
_DAMAGED = Failure(Remedy.REPORT, "its file is not a sound database")

SQLITE_CODES: Mapping[int, Failure] = MappingProxyType(
    {
        sqlite3.SQLITE_ERROR: _WRONG,
        sqlite3.SQLITE_TOOBIG: _WRONG,
        sqlite3.SQLITE_CONSTRAINT: _WRONG,
        sqlite3.SQLITE_MISMATCH: _WRONG,
        sqlite3.SQLITE_MISUSE: _WRONG,
        sqlite3.SQLITE_RANGE: _WRONG,
        sqlite3.SQLITE_BUSY: _LOCKED,
        sqlite3.SQLITE_LOCKED: _LOCKED,
        sqlite3.SQLITE_PROTOCOL: _LOCKED,
        sqlite3.SQLITE_SCHEMA: Failure(Remedy.REPEAT, "its schema was changed"),
        sqlite3.SQLITE_INTERRUPT: Failure(Remedy.REPEAT, "the statement was interrupted"),
        sqlite3.SQLITE_NOMEM: Failure(Remedy.REPEAT, "there is no memory left"),
        sqlite3.SQLITE_FULL: Failure(Remedy.REPORT, "its disk is full"),
        sqlite3.SQLITE_READONLY: Failure(Remedy.REPORT, "it accepts no writes"),
        sqlite3.SQLITE_CORRUPT: _DAMAGED,
        sqlite3.SQLITE_NOTADB: _DAMAGED,
    }
)
"""Kinds of errors by SQLite's primary result code. With another code, the file cannot be used."""


def failure_of(error: DBAPIError) -> Failure:
    """Return the kind of an error of the database."""
    if isinstance(error.orig, sqlite3.Error):
        return _failure_of_sqlite(error.orig)
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return POSTGRES_STATES.get(state) or POSTGRES_CLASSES.get(state[:2], _UNKNOWN)
    # Without an SQLSTATE the error is of the driver: it refuses a value, or did not reach the server.
    is_refusal = isinstance(error, DataError | ProgrammingError | NotSupportedError | IntegrityError)
    return _WRONG if is_refusal else _UNREACHABLE


def leads_nowhere(error: DBAPIError) -> bool:
    """Return whether the connection, and all connections made before it, should be replaced."""
    if isinstance(error.orig, sqlite3.Error):
        # A new connection to a file on a full disk may fail where the open connection can still read.
        replaced = getattr(error.orig, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED
        return replaced or failure_of(error) is _DAMAGED
    return failure_of(error).remedy is Remedy.RECONNECT


def message_of(error: Exception) -> str:
    """Return the driver's message, without SQLAlchemy's statement and parameters."""
    return str(error.orig if isinstance(error, DBAPIError) else error).strip()


def _failure_of_sqlite(error: sqlite3.Error) -> Failure:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # of Python's module: a value that it cannot bind, or a connection that is closed
        refused = isinstance(error, sqlite3.InterfaceError | sqlite3.ProgrammingError | sqlite3.DataError)
        return _WRONG if refused else _UNUSABLE
    if code == sqlite3.SQLITE_ERROR and str(error).startswith(("no such table", "no such column")):
        return Failure(Remedy.REPORT, _INCOMPLETE.meaning)
    return SQLITE_CODES.get(code & 0xFF, _UNUSABLE)

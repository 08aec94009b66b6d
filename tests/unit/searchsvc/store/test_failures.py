"""Errors of the databases: those of the caller are raised, all others are waited out."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from psycopg import errors as psycopg_errors
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, InternalError, OperationalError, ProgrammingError

from searchsvc.store.failures import SQLITE_CODES, Remedy, failure_of, leads_nowhere

_CALLER_CLASSES = {"0A", "21", "22", "23", "42", "44", "54"}
_PASSING_IN_42 = {"42501", "42703", "42704", "42883", "42P01"}
_SAME_CONNECTION = {"55P03", "57014"}
DOCUMENTED = sorted(
    {
        kind.sqlstate
        for kind in vars(psycopg_errors).values()
        if isinstance(kind, type) and issubclass(kind, psycopg.Error) and kind.sqlstate
    }
)
"""Every SQLSTATE of appendix A of PostgreSQL's manual."""


def _postgres_error(state: str) -> DBAPIError:
    return DBAPIError("SELECT 1", {}, psycopg_errors.lookup(state)("said so"))


def test_the_list_of_documented_states_is_complete() -> None:
    classes = {state[:2] for state in DOCUMENTED}
    assert len(DOCUMENTED) > 200
    assert classes >= {"08", "0A", "22", "23", "25", "26", "28", "3D", "40", "42", "53", "57", "58", "F0", "P0", "XX"}


@pytest.mark.parametrize("state", DOCUMENTED)
def test_every_documented_state_is_the_callers_or_passes(state: str) -> None:
    is_callers = state[:2] in _CALLER_CLASSES and state not in _PASSING_IN_42
    error = _postgres_error(state)
    assert (failure_of(error).remedy is Remedy.RAISE) is is_callers
    keeps_connection = is_callers or state[:2] in ("40", "53") or state in _SAME_CONNECTION
    assert leads_nowhere(error) is not keeps_connection


@pytest.mark.parametrize("state", ["ZZ999", "99000", "", "5", "08XYZ", "25999", "58000"])
def test_a_state_that_is_not_documented_passes(state: str) -> None:
    error = psycopg.DatabaseError("new in a later version")
    error.sqlstate = state
    assert failure_of(DBAPIError("SELECT 1", {}, error)).remedy is Remedy.RECONNECT


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        (OperationalError, Remedy.RECONNECT),
        (InterfaceError, Remedy.RECONNECT),
        (InternalError, Remedy.RECONNECT),
        (DataError, Remedy.RAISE),
        (ProgrammingError, Remedy.RAISE),
    ],
)
def test_an_error_of_the_driver_itself_is_judged_by_its_kind(kind: type[DBAPIError], remedy: Remedy) -> None:
    assert failure_of(kind("SELECT 1", {}, psycopg.Error("no state"))).remedy is remedy


def _sqlite_error(code: int, message: str = "said so") -> DBAPIError:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return DBAPIError("SELECT 1", {}, error)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (sqlite3.SQLITE_BUSY, Remedy.REPEAT),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Remedy.REPEAT),
        (sqlite3.SQLITE_PROTOCOL, Remedy.REPEAT),
        (sqlite3.SQLITE_READONLY, Remedy.REPORT),
        (sqlite3.SQLITE_FULL, Remedy.REPORT),
        (sqlite3.SQLITE_IOERR_WRITE, Remedy.REPORT),
        (sqlite3.SQLITE_CANTOPEN, Remedy.REPORT),
        (sqlite3.SQLITE_NOTADB, Remedy.REPORT),
        (sqlite3.SQLITE_NOLFS, Remedy.REPORT),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, Remedy.RAISE),
        (sqlite3.SQLITE_TOOBIG, Remedy.RAISE),
        (sqlite3.SQLITE_ERROR, Remedy.RAISE),
    ],
)
def test_sqlites_codes_are_judged_by_their_primary_code(code: int, remedy: Remedy) -> None:
    assert failure_of(_sqlite_error(code)).remedy is remedy


def test_a_file_without_our_tables_is_no_error_of_the_caller() -> None:
    assert failure_of(_sqlite_error(sqlite3.SQLITE_ERROR, "no such table: jobs")).remedy is Remedy.REPORT


def test_a_full_disk_does_not_close_a_connection_that_can_still_read() -> None:
    assert not leads_nowhere(_sqlite_error(sqlite3.SQLITE_FULL))
    assert leads_nowhere(_sqlite_error(sqlite3.SQLITE_READONLY_DBMOVED))


def test_a_value_that_sqlites_module_cannot_bind_is_the_callers() -> None:
    error = ProgrammingError("SELECT ?", {}, sqlite3.ProgrammingError("type 'complex' is not supported"))
    assert failure_of(error).remedy is Remedy.RAISE
    assert all(failure.meaning for failure in SQLITE_CODES.values())

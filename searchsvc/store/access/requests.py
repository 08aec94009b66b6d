"""Requests with an idempotency key: each is carried out once, whichever process of the service receives it again.

::

    begin_request -> Reservation -> the request is carried out -> finish_request
                                                               -> abandon_request (it failed)
    begin_request -> RecordedAnswer: it was carried out before

A reservation is held for a limited time, so that a request whose process died can be repeated. Its id belongs to the
request, not to the try: whatever a try has created under that id is found by the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from searchsvc.domain import Token, new_id
from searchsvc.errors import Conflict, RequestUnderWay
from searchsvc.store.base import StoreBase
from searchsvc.store.database import TryAgain, insert_if_new
from searchsvc.store.tables import idempotency, requests

RETENTION_SECONDS = 7 * 86400.0
"""Time for which answers are kept at least; older answers are deleted when the next request begins."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A client's key for a request."""

    owner: Token
    key: str
    fingerprint: str
    """A hash of what the client sent."""


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """The answer to a request that was carried out."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reservation:
    """The right to carry out a request."""

    owner_id: str
    key: str
    id: str
    """The id of the request, the same in every try: that of the object which it creates, if it creates one."""
    holder: str


class RequestOperations(StoreBase):
    """The part of the Store for requests with an idempotency key."""

    def begin_request(self, request: RequestKey, held_seconds: float) -> Reservation | RecordedAnswer:
        """Reserve the request for `held_seconds`, or return the answer that was recorded for it.

        Raises Conflict if the key was used for another request, and RequestUnderWay if another try holds it.
        """
        now, holder, own_id = self._clock(), new_id(), new_id()

        def transaction(connection: Connection) -> Reservation | RecordedAnswer:
            connection.execute(delete(requests).where(requests.c.created_at < now - RETENTION_SECONDS))
            row = _find(connection, request)
            if row is None:
                request_id = _earlier_job(connection, request, now) or own_id
                _insert(connection, request, request_id, holder, now, held_seconds)
            elif (answer := _recorded(request, row, holder, now)) is not None:
                return answer
            else:
                request_id = row["id"]
                held = {"holder": holder, "held_until": now + held_seconds}
                connection.execute(update(requests).where(_same(request.owner.id, request.key)).values(held))
            return Reservation(request.owner.id, request.key, request_id, holder)

        return self._database.write(transaction)

    def renew_request(self, reservation: Reservation, held_seconds: float) -> None:
        """Hold the reservation for longer."""
        self._set(reservation, {"held_until": self._clock() + held_seconds})

    def finish_request(self, reservation: Reservation, answer: RecordedAnswer) -> None:
        """Record the answer."""
        self._set(reservation, {"status": answer.status, "headers": dict(answer.headers), "body": answer.body})

    def abandon_request(self, reservation: Reservation, *, is_undone: bool) -> None:
        """Release the reservation of a request that failed, so that it can be repeated.

        `is_undone`: it had no effect, so that its key can also be used for another request.
        """
        if not is_undone:
            self._set(reservation, {"holder": None, "held_until": 0.0})
            return
        statement = delete(requests).where(_held(reservation))
        self._database.write(lambda connection: connection.execute(statement))

    def _set(self, reservation: Reservation, values: Mapping[str, Any]) -> None:
        statement = update(requests).where(_held(reservation)).values(values)
        self._database.write(lambda connection: connection.execute(statement))


def _find(connection: Connection, request: RequestKey) -> Any:
    query = select(requests).where(_same(request.owner.id, request.key)).with_for_update()
    return connection.execute(query).mappings().one_or_none()


def _insert(
    connection: Connection, request: RequestKey, request_id: str, holder: str, now: float, held_seconds: float
) -> None:
    values = {
        "owner_id": request.owner.id,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "id": request_id,
        "holder": holder,
        "held_until": now + held_seconds,
        "created_at": now,
    }
    if not insert_if_new(connection, requests, values):
        raise TryAgain("the same request came twice at once, and the other was first")


def _recorded(request: RequestKey, row: Any, holder: str, now: float) -> RecordedAnswer | None:
    """Return the recorded answer; None if the request may be tried again."""
    if row["fingerprint"] != request.fingerprint:
        raise Conflict(f"the idempotency key {request.key!r} was used for another request: send a new key with it")
    if row["status"] is not None:
        return RecordedAnswer(row["status"], row["headers"], row["body"])
    if row["held_until"] > now and row["holder"] != holder:  # one's own: an earlier commit whose answer was lost
        raise RequestUnderWay(
            f"the request with the idempotency key {request.key!r} is still under way: repeat it in a moment",
            retry_after_seconds=max(1.0, min(5.0, row["held_until"] - now)),
        )
    return None


def _earlier_job(connection: Connection, request: RequestKey, now: float) -> str | None:
    """Return the job that an earlier version has created for this key; it kept keys by the name of their token."""
    theirs = (idempotency.c.owner == request.owner.name) & (idempotency.c.key == request.key)
    since = max(request.owner.created_at, now - RETENTION_SECONDS)
    query = select(idempotency.c.job_id).where(theirs, idempotency.c.created_at >= since)
    job_id: str | None = connection.execute(query).scalar_one_or_none()
    return job_id


def _same(owner_id: str, key: str) -> Any:
    return (requests.c.owner_id == owner_id) & (requests.c.key == key)


def _held(reservation: Reservation) -> Any:
    return _same(reservation.owner_id, reservation.key) & (requests.c.holder == reservation.holder)

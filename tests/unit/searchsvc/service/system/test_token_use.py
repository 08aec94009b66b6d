"""The last use of a token is stored without the request: late, but never in its way."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from searchsvc.domain import Token, new_id
from searchsvc.errors import StoreUnavailable
from searchsvc.service.service import Service
from searchsvc.service.system.token_use import TokenUse
from tests.support.system import wait_for


def _token(used_at: float | None) -> Token:
    return Token(new_id(), "ci", "read", created_at=0.0, expires_at=None, revoked_at=None, used_at=used_at)


class Touches:
    """A stand-in for the store: notes what is stored, and fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.stored: list[dict[str, float]] = []
        self.failures = failures
        self.thread: threading.Thread | None = None

    def __call__(self, used: dict[str, float]) -> None:
        self.thread = threading.current_thread()
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("locked")
        self.stored.append(dict(used))


@pytest.fixture
def touches(service: Service, monkeypatch: pytest.MonkeyPatch) -> Touches:
    made = Touches()
    monkeypatch.setattr(service.store, "touch_tokens", made)
    return made


def test_a_use_is_stored_by_another_thread(service: Service, touches: Touches) -> None:
    token = _token(None)
    TokenUse(service.store).note(token, 1000.0)
    wait_for(lambda: touches.stored, seconds=60)
    assert touches.stored == [{token.id: 1000.0}]
    assert touches.thread is not threading.current_thread()


@pytest.mark.parametrize(("stored_at", "notes"), [(939.0, True), (940.0, False), (1000.0, False)])
def test_a_use_within_a_minute_of_the_stored_use_is_not_noted(
    service: Service, touches: Touches, stored_at: float, notes: bool
) -> None:
    uses = TokenUse(service.store, store_every_seconds=0.0)
    token, other = _token(stored_at), _token(None)
    uses.note(token, 1000.0)
    uses.note(other, 1000.0)
    wait_for(lambda: any(other.id in used for used in touches.stored), seconds=60)
    assert any(token.id in used for used in touches.stored) is notes


def test_a_use_that_cannot_be_stored_is_counted_and_stored_later(service: Service, touches: Touches) -> None:
    touches.failures = 2
    uses, token = TokenUse(service.store, store_every_seconds=0.01), _token(None)
    uses.note(token, 1000.0)
    wait_for(lambda: touches.stored, seconds=60)
    assert touches.stored == [{token.id: 1000.0}]
    assert uses.failures == 2


def test_a_locked_database_is_not_waited_for(service: Service) -> None:
    token, _ = service.access.create("ci")
    path = service.settings.database_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="within 0 s"):
        service.store.touch_tokens({token.id: 5.0})
    other.rollback()
    other.close()
    service.store.touch_tokens({token.id: 5.0})
    assert service.access.tokens()[0].used_at == 5.0

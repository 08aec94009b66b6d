"""Tokens: hashed, scoped, expiring, revocable; the local token is readable by its owner only."""

from __future__ import annotations

import stat

import pytest

from searchsvc.errors import Forbidden, InvalidInput, Unauthenticated
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope, require


def test_a_secret_opens_its_token_and_is_not_stored(service: Service) -> None:
    token, secret = service.access.create("ci", scope=Scope.SUBMIT, expires_seconds=60)
    authenticated = service.access.authenticate(secret)
    assert (authenticated.id, authenticated.scope, authenticated.expires_at) == (token.id, "submit", 1060.0)
    assert secret.startswith("ssvc_")
    assert secret not in str(service.access.tokens())


@pytest.mark.parametrize("secret", [None, "", "ssvc_unknown", "Bearer x"])
def test_a_secret_that_is_not_known_is_refused(service: Service, secret: str | None) -> None:
    with pytest.raises(Unauthenticated):
        service.access.authenticate(secret)


def test_an_expired_token_is_refused(service: Service) -> None:
    _, secret = service.access.create("short", expires_seconds=10)
    later = Service(service.store, service.settings, clock=lambda: 1010.0)
    with pytest.raises(Unauthenticated, match="has expired"):
        later.access.authenticate(secret)


def test_a_revoked_token_is_refused(service: Service) -> None:
    token, secret = service.access.create("old")
    service.access.revoke(token.id)
    with pytest.raises(Unauthenticated, match="has been revoked"):
        service.access.authenticate(secret)


def test_a_scope_covers_those_below_it(service: Service) -> None:
    token, _ = service.access.create("ci", scope=Scope.SUBMIT)
    require(token, Scope.READ)
    require(token, Scope.SUBMIT)
    with pytest.raises(Forbidden, match="needs a token of scope admin; yours has submit"):
        require(token, Scope.ADMIN)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_an_expiry_must_lie_ahead(service: Service, seconds: float) -> None:
    with pytest.raises(InvalidInput, match="/expires_seconds"):
        service.access.create("ci", expires_seconds=seconds)


def test_the_local_token_is_made_once_for_its_owner_alone(service: Service) -> None:
    secret = service.access.local_token()
    assert service.access.local_token() == secret == service.settings.token_path.read_text().strip()
    assert stat.S_IMODE(service.settings.token_path.stat().st_mode) == 0o600
    assert service.access.authenticate(secret).scope == "admin"
    assert len(service.access.tokens()) == 1


def test_a_local_token_that_the_store_does_not_know_is_made_again(service: Service) -> None:
    service.settings.token_path.write_text("ssvc_of_another_store\n")
    service.settings.token_path.chmod(0o644)
    secret = service.access.local_token()
    assert service.access.authenticate(secret).name == "local"
    assert stat.S_IMODE(service.settings.token_path.stat().st_mode) == 0o600


def test_a_revoked_local_token_is_made_again(service: Service) -> None:
    first = service.access.local_token()
    service.access.revoke(service.access.authenticate(first).id)
    assert service.access.local_token() != first

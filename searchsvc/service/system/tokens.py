"""Bearer tokens: `ssvc_` and 32 random bytes, stored as a hash, with a scope, an expiry and a revocation."""

from __future__ import annotations

import hashlib
import math
import os
import secrets
from enum import StrEnum
from pathlib import Path

from searchsvc.domain import Token, new_id
from searchsvc.errors import Forbidden, InvalidInput, Unauthenticated
from searchsvc.settings import Settings
from searchsvc.store import Store

PREFIX = "ssvc_"
LOCAL_NAME = "local"


class Scope(StrEnum):
    """The permissions of a token: READ reads, SUBMIT also creates and controls jobs, ADMIN also manages tokens."""

    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"

    def covers(self, needed: Scope) -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(needed)


def create(
    store: Store,
    name: str,
    scope: Scope,
    expires_seconds: float | None,
    *,
    now: float,
    request_id: str | None = None,
) -> tuple[Token, str]:
    """Create a token and return it with its secret. Raises InvalidInput, and Conflict if the request has created it.

    `request_id`: the id of a client's request, and of its token.
    """
    if not 1 <= len(name) <= 128:
        raise InvalidInput.at("/name", "must be a text of 1 to 128 characters")
    if expires_seconds is not None and not (math.isfinite(expires_seconds) and 0 < expires_seconds <= 1e9):
        raise InvalidInput.at("/expires_seconds", "must lie above 0 and not above 1e9")
    secret = PREFIX + secrets.token_urlsafe(32)
    token = Token(
        id=request_id or new_id(),
        name=name,
        scope=scope.value,
        created_at=now,
        expires_at=None if expires_seconds is None else now + expires_seconds,
        revoked_at=None,
        used_at=None,
    )
    store.add_token(token, hash_of(secret))
    return token, secret


def hash_of(secret: str) -> str:
    """Hash a secret. A plain SHA-256 is enough: the secret is random, so it cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def authenticate(store: Store, secret: str | None, *, now: float) -> Token:
    """Find the token of a secret. Raises Unauthenticated with only the details that help the owner of a token."""
    if not secret:
        raise Unauthenticated("a bearer token is needed: send the header `Authorization: Bearer ssvc_...`")
    token = store.token_by_hash(hash_of(secret)) if secret.startswith(PREFIX) else None
    if token is None:
        raise Unauthenticated("the token is not known here")
    if token.revoked_at is not None:
        raise Unauthenticated("the token has been revoked")
    if token.expires_at is not None and token.expires_at <= now:
        raise Unauthenticated("the token has expired")
    return token


def require(token: Token, needed: Scope) -> None:
    """Check the scope of a token. Raises Forbidden if it is not sufficient."""
    if not Scope(token.scope).covers(needed):
        raise Forbidden(f"this needs a token of scope {needed.value}; yours has {token.scope}")


def ensure_local_token(store: Store, settings: Settings, *, now: float) -> str:
    """Return the secret of this machine's token: the stored secret, or a new secret if the stored one is not valid."""
    secret = settings.local_token()
    if secret is not None:
        try:
            authenticate(store, secret, now=now)
        except Unauthenticated:
            pass
        else:
            return secret
    _, secret = create(store, LOCAL_NAME, Scope.ADMIN, None, now=now)
    _write_private(settings.token_path, secret + "\n")
    return secret


def _write_private(path: Path, text: str) -> None:
    """Write a file atomically, readable by its owner alone from the start."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

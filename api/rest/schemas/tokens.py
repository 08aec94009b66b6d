"""Schemas of bearer tokens."""

from __future__ import annotations

from pydantic import Field

from api.rest.schemas.base import In, RecordOut
from searchsvc import domain
from searchsvc.service.system.tokens import Scope


class TokenRequest(In):
    """A token to be created."""

    name: str = Field(min_length=1, max_length=128, description="Purpose of the token.", examples=["ci"])
    scope: Scope = Field(
        Scope.READ, description="read: view everything; submit: also control jobs; admin: also manage tokens."
    )
    expires_seconds: float | None = Field(None, gt=0, le=1e9, description="Seconds until it expires; null: never.")


class Token(RecordOut, record=domain.Token, after="name"):
    """A bearer token, without its secret."""

    scope: Scope = Field(description="Permissions of the token.")


class NewToken(Token):
    """A token that was just created."""

    secret: str = Field(description="Send it as `Authorization: Bearer ...`. It is shown only once and never stored.")

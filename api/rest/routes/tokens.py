"""Tokens: create, list, revoke. For administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from api.rest.auth import can_administer
from api.rest.bodies import section, takes
from api.rest.deps import PREFIX, RequestId, ServiceDep, TokenId, whole
from api.rest.errors import answers
from api.rest.idempotency import record_instead
from api.rest.schemas.base import Page
from api.rest.schemas.tokens import NewToken, Token, TokenRequest
from searchsvc.errors import Conflict

_ONCE = "its secret was sent once and is not stored. Revoke the token, and create another with a new key"

router = APIRouter(
    prefix=f"{PREFIX}/tokens", tags=["tokens"], dependencies=[Depends(can_administer)], responses=answers(401, 403, 422)
)


@router.post(
    "",
    operation_id="create_token",
    status_code=201,
    responses=answers(409, 413, 415),
    openapi_extra=takes("TokenRequest"),
)
def create(
    request: Request,
    service: ServiceDep,
    request_id: RequestId,
    body: Annotated[TokenRequest, Depends(section(TokenRequest))],
) -> NewToken:
    """Create a token. Its secret is returned only in this response: a repeated request is answered by 409."""
    record_instead(request, Conflict(f"this request has created the token {request_id}; {_ONCE}"))
    token, secret = service.access.create(
        body.name, scope=body.scope, expires_seconds=body.expires_seconds, request_id=request_id
    )
    return NewToken.of(token, secret=secret)


@router.get("", operation_id="list_tokens")
def list_tokens(service: ServiceDep) -> Page[Token]:
    """List all tokens, without their secrets."""
    return whole([Token.of(token) for token in service.access.tokens()])


@router.delete("/{token}", operation_id="revoke_token", status_code=204, responses=answers(404))
def revoke(
    service: ServiceDep,
    token: TokenId,
) -> None:
    """Revoke a token: it is refused from now on."""
    service.access.revoke(token)

"""Authorisation: bearer tokens and their scopes, a dependency of every route except the health checks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.rest.rates import RequestRates
from searchsvc.domain import Token
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope, require

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="Token of scope read, submit or admin: from `searchctl token create`, or from the data folder.",
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


class RequiredScope:
    """A dependency that requires a token with `scope`, and returns the token."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(self, request: Request, credentials: Credentials) -> Token:
        """Return the token of the request. Raises Unauthenticated, Forbidden, LimitExceeded."""
        service: Service = request.app.state.service
        token = service.access.authenticate(credentials.credentials if credentials else None)
        require(token, self.scope)
        rates: RequestRates = request.app.state.rates
        rates.take(token)
        return token


can_read, can_submit, can_administer = (
    RequiredScope(Scope.READ),
    RequiredScope(Scope.SUBMIT),
    RequiredScope(Scope.ADMIN),
)
Reader = Annotated[Token, Depends(can_read)]
Submitter = Annotated[Token, Depends(can_submit)]
Administrator = Annotated[Token, Depends(can_administer)]

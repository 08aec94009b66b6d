"""Access: the bearer tokens of the service."""

from __future__ import annotations

from searchsvc.domain import Token
from searchsvc.service.system import tokens
from searchsvc.service.system.token_use import TokenUse
from searchsvc.service.use_cases.context import ServiceContext


class AccessService:
    """The use cases of tokens."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._store = context.store
        self.uses = TokenUse(context.store)

    def create(
        self,
        name: str,
        *,
        scope: tokens.Scope = tokens.Scope.READ,
        expires_seconds: float | None = None,
        request_id: str | None = None,
    ) -> tuple[Token, str]:
        """Create a token. Return it with its secret, which is not stored and cannot be read again.

        `request_id`: the id of a client's request, and of its token. Raises Conflict if the request has created it.
        """
        now = self._context.clock()
        return tokens.create(self._store, name, scope, expires_seconds, now=now, request_id=request_id)

    def tokens(self) -> list[Token]:
        """List all tokens."""
        return self._store.tokens()

    def revoke(self, token_id: str) -> None:
        """Revoke a token: it is refused from now on. Raises NotFound."""
        self._store.revoke_token(token_id)

    def authenticate(self, secret: str | None) -> Token:
        """Find the token of a secret. Raises Unauthenticated if it is missing, unknown, expired or revoked."""
        now = self._context.clock()
        token = tokens.authenticate(self._store, secret, now=now)
        self.uses.note(token, now)
        return token

    def local_token(self) -> str:
        """Return the secret of this machine's token, created at the first start and kept in the data folder."""
        return tokens.ensure_local_token(self._store, self._context.settings, now=self._context.clock())

"""Bearer tokens, found by the hash of their secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, select, update

from searchsvc.domain import Token
from searchsvc.errors import Conflict, NotFound
from searchsvc.store.base import StoreBase
from searchsvc.store.database import insert_if_new
from searchsvc.store.rows import record_of
from searchsvc.store.tables import tokens


class TokenOperations(StoreBase):
    """The part of the Store for bearer tokens."""

    def add_token(self, token: Token, secret_hash: str) -> None:
        """Add a token. Raises Conflict if its id or hash is taken."""
        row = {column.name: getattr(token, column.name, secret_hash) for column in tokens.c}

        def transaction(connection: Connection) -> None:
            if not insert_if_new(connection, tokens, row):
                stored = _find(connection, tokens.c.id == token.id)
                if stored is None or stored["secret_hash"] != secret_hash:
                    raise Conflict(f"there is a token {token.id}, or one with the same secret, already")

        self._database.write(transaction)

    def token_by_hash(self, secret_hash: str) -> Token | None:
        """Return the token with this hash, even if it is expired or revoked, or None."""
        row = self._database.read(lambda connection: _find(connection, tokens.c.secret_hash == secret_hash))
        return None if row is None else record_of(Token, row)

    def tokens(self) -> list[Token]:
        query = select(tokens).order_by(tokens.c.id)
        return self._records(Token, query)

    def revoke_token(self, token_id: str) -> None:
        """Revoke a token now; a revoked token keeps its earlier time."""
        now = self._clock()

        def transaction(connection: Connection) -> None:
            mine = tokens.c.id == token_id
            if _find(connection, mine) is None:
                raise NotFound(f"there is no token {token_id}")
            connection.execute(update(tokens).where(mine, tokens.c.revoked_at.is_(None)).values(revoked_at=now))

        self._database.write(transaction)

    def touch_tokens(self, used: Mapping[str, float]) -> None:
        """Set the times at which tokens were last used, by id; an earlier time than the stored time is ignored.

        Raises StoreUnavailable at once if another process writes: nobody waits for this.
        """
        later = tokens.c.used_at.is_(None) | (tokens.c.used_at < bindparam("at"))
        statement = update(tokens).where(tokens.c.id == bindparam("of_token"), later).values(used_at=bindparam("at"))
        rows = [{"of_token": token_id, "at": used[token_id]} for token_id in sorted(used)]
        if rows:
            self._database.write(lambda connection: connection.execute(statement, rows), wait_seconds=0.0)


def _find(connection: Connection, condition: ColumnElement[bool]) -> Any:
    return connection.execute(select(tokens).where(condition)).mappings().one_or_none()

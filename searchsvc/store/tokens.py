"""Bearer tokens, by the hash of their secret."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from searchsvc.domain import Token
from searchsvc.errors import Conflict, NotFound
from searchsvc.store.base import StoreBase
from searchsvc.store.database import insert_if_new
from searchsvc.store.rows import token_of
from searchsvc.store.tables import tokens


class TokenOperations(StoreBase):
    """The part of the Store about who may come in."""

    def add_token(self, token: Token, secret_hash: str) -> None:
        """Raises Conflict where the id or the hash is taken."""
        row = {column.name: getattr(token, column.name, secret_hash) for column in tokens.c}

        def transaction(connection: Connection) -> None:
            if not insert_if_new(connection, tokens, row):
                stored = _find(connection, tokens.c.id == token.id)
                if stored is None or stored["secret_hash"] != secret_hash:
                    raise Conflict(f"there is a token {token.id}, or one with the same secret, already")

        self._database.write(transaction)

    def token_by_hash(self, secret_hash: str) -> Token | None:
        """None where there is none; one that is expired or revoked is returned as such."""
        row = self._database.read(lambda connection: _find(connection, tokens.c.secret_hash == secret_hash))
        return None if row is None else token_of(row)

    def tokens(self) -> list[Token]:
        query = select(tokens).order_by(tokens.c.id)
        return [
            token_of(row) for row in self._database.read(lambda connection: connection.execute(query).mappings().all())
        ]

    def revoke_token(self, token_id: str) -> None:
        """From now on; a token that is revoked already stays as it is."""
        now = self._clock()

        def transaction(connection: Connection) -> None:
            mine = tokens.c.id == token_id
            if _find(connection, mine) is None:
                raise NotFound(f"there is no token {token_id}")
            connection.execute(update(tokens).where(mine, tokens.c.revoked_at.is_(None)).values(revoked_at=now))

        self._database.write(transaction)

    def touch_token(self, token_id: str, at: float) -> None:
        """It was used."""
        statement = update(tokens).where(tokens.c.id == token_id).values(used_at=at)
        self._database.write(lambda connection: connection.execute(statement))


def _find(connection: Connection, wanted: ColumnElement[bool]) -> Any:
    return connection.execute(select(tokens).where(wanted)).mappings().one_or_none()

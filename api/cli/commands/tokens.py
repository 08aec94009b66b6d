"""searchctl token: bearer tokens for programs and other people."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias
from urllib.parse import quote

import typer

from api import text
from api.cli.groups import group
from api.cli.options import AsJson
from api.cli.output import emit, hint, say, table
from api.cli.session import session

app = group("Make, list and revoke bearer tokens.")

Scope: TypeAlias = Literal["read", "submit", "admin"]


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Purpose of the token.")],
    scope: Annotated[
        Scope,
        typer.Option("--scope", help="read: look; submit: also submit and steer jobs; admin: also manage tokens."),
    ] = "read",
    days: Annotated[
        float | None, typer.Option("--days", min=0, help="Days until the token expires. Default: never.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token. Its secret is shown only once."""
    request = {"name": name, "scope": scope, "expires_seconds": None if days is None else days * 86400}
    with session(ctx).client() as client:
        token = client.post("/tokens", request)
    if as_json:
        return emit(token)
    typer.echo(token["secret"])
    return hint("Shown only once. Send it as `Authorization: Bearer ...`, or set SEARCHSVC_TOKEN for searchctl.")


@app.command("list")
def list_tokens(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the tokens."""
    with session(ctx).client() as client:
        tokens = list(client.items("/tokens"))
    if as_json:
        return emit(tokens)
    rows = [
        (
            token["id"],
            token["name"],
            token["scope"],
            text.moment(token["created_at"]),
            _end(token),
            text.moment(token["used_at"]),
        )
        for token in tokens
    ]
    return say(table(("token", "name", "scope", "made", "ends", "last used"), rows))


@app.command()
def revoke(
    ctx: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Id of the token.")],
    as_json: AsJson = False,
) -> None:
    """Refuse a token from now on."""
    with session(ctx).client() as client:
        client.delete(f"/tokens/{quote(token, safe='')}")
    return emit({"revoked": token}) if as_json else say(f"Revoked {token}")


def _end(token: dict[str, str | None]) -> str:
    return "revoked" if token["revoked_at"] else text.moment(token["expires_at"]) if token["expires_at"] else "never"

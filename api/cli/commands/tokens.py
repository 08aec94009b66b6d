"""searchctl token: bearer tokens for programs and other people."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from api.cli.options import AsJson, group, session

app = group("Make, list and revoke bearer tokens.")


class ScopeOption(StrEnum):
    """What a token allows."""

    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        ScopeOption, typer.Option("--scope", help="read: look; submit: jobs too; admin: all.")
    ] = ScopeOption.READ,
    days: Annotated[float | None, typer.Option("--days", min=0, help="Days until it expires; none: never.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token. Its secret is shown this once."""
    from api.cli.output import emit, hint

    request = {"name": name, "scope": scope.value, "expires_seconds": None if days is None else days * 86400}
    with session(ctx).client() as client:
        made = client.post("/tokens", request)
    if as_json:
        return emit(made)
    typer.echo(made["secret"])
    return hint("Shown this once. Send it as `Authorization: Bearer ...`, or set SEARCHSVC_TOKEN for searchctl.")


@app.command("list")
def list_tokens(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the tokens."""
    from api import text
    from api.cli.output import emit, say, table

    with session(ctx).client() as client:
        found = list(client.items("/tokens"))
    if as_json:
        return emit(found)
    rows = [
        (one["id"], one["name"], one["scope"], text.moment(one["created_at"]), _end(one), text.moment(one["used_at"]))
        for one in found
    ]
    return say(table(("token", "name", "scope", "made", "ends", "last used"), rows))


@app.command()
def revoke(
    ctx: typer.Context, token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id.")], as_json: AsJson = False
) -> None:
    """Refuse a token from now on."""
    from urllib.parse import quote

    from api.cli.output import emit, say

    with session(ctx).client() as client:
        client.delete(f"/tokens/{quote(token, safe='')}")
    return emit({"revoked": token}) if as_json else say(f"Revoked {token}")


def _end(token: dict[str, str | None]) -> str:
    from api import text

    return "revoked" if token["revoked_at"] else text.moment(token["expires_at"]) if token["expires_at"] else "never"

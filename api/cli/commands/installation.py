"""Commands about this installation: its database, its health, its version."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version as version_of
from typing import Annotated

import typer
from typer._completion_shared import get_completion_script

from api.cli.exits import Exit
from api.cli.groups import group
from api.cli.options import AsJson
from api.cli.output import emit, say, table
from api.cli.session import session
from searchsvc.service.system.doctor import examine
from searchsvc.store import schema

db = group("Prepare and check the database.")


class Shell(StrEnum):
    """Shells with completion of commands."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "pwsh"


@db.command()
def upgrade(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Upgrade the schema of the database to this version; data stays."""
    settings = session(ctx).settings().prepare()
    schema.upgrade(settings.database_url)
    return emit({"upgraded": True}) if as_json else say("The database schema is up to date.")


@db.command()
def check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Check that the database has the schema of this version."""
    schema.check(session(ctx).settings().database_url)
    return emit({"up_to_date": True}) if as_json else say("The database schema is up to date.")


def doctor(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Check Python, torch, Ray, the database and the disk, with a remedy for each problem."""
    health = examine(session(ctx).settings())
    if as_json:
        emit({"ok": health.ok, "checks": [asdict(check) for check in health.checks]})
    else:
        colours = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "failed": "[red]failed[/]"}
        rows = [(check.name, colours[check.state], check.found) for check in health.checks]
        say(table(("check", "state", "found"), rows))
        for check in health.checks:
            if check.mend:
                typer.echo(f"\n{check.name}: {check.mend}")
    if not health.ok:
        raise typer.Exit(Exit.FAILED)


def version(as_json: AsJson = False) -> None:
    """Print the version."""
    number = version_of("searchsvc")
    return emit({"version": number}) if as_json else typer.echo(f"searchsvc {number}")


def completion(
    shell: Annotated[Shell, typer.Argument(help="The shell.")],
) -> None:
    """Print the script that makes a shell complete searchctl's commands."""
    typer.echo(get_completion_script(prog_name="searchctl", complete_var="_SEARCHCTL_COMPLETE", shell=shell.value))

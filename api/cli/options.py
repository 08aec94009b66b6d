"""Options and arguments that several commands share, and the class that every group of commands is made with."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperGroup

from api.cli.session import Session


class Commands(TyperGroup):
    """A group whose faults are told in red with an exit code of their own; its help has the commands under headings."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command inside `told`."""
        from api.cli.exits import told

        with told():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as the base class has it
        """The order in which they were added."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """One list per heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.commands[name]
            panel = getattr(command, "rich_help_panel", None)
            rows = sections.setdefault(panel if isinstance(panel, str) else "Commands", [])
            rows.append((name, command.get_short_help_str(200)))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=12)


def group(help: str, **options: Any) -> typer.Typer:  # noqa: A002 - the word of typer
    """A set of commands."""
    return typer.Typer(
        cls=Commands,
        help=help,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **options,
    )


def session(ctx: typer.Context) -> Session:
    """What the options before the command say."""
    found: Session = ctx.find_root().obj
    return found


JobArgument: TypeAlias = Annotated[str, typer.Argument(metavar="JOB", help="Its id, the beginning of it, or its name.")]
SpecArgument: TypeAlias = Annotated[str, typer.Argument(metavar="SPEC", help="A job spec in YAML or JSON; - is stdin.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Changes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the spec: --set budget.trials=8. May be repeated."),
]
Limit: TypeAlias = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="So many at most.")]

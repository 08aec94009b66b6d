"""Groups of commands. A lazy group imports the module of a command only when that command is invoked or described."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from api.cli.exits import Broken, reported

_PLAIN: dict[str, Any] = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}


class Commands(TyperGroup):
    """A group that reports errors in red, each with its exit code, and lists its commands under headings."""

    def main(self, args: Sequence[str] | None = None, *arguments: Any, **options: Any) -> Any:
        """Run a command line, report its errors, and end the process."""
        words = list(sys.argv[1:] if args is None else args)
        with reported(as_json="--json" in words):
            code = super().main(words, *arguments, **{**options, "standalone_mode": False})
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an interrupt and an error of the system are reported as any other error."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, OSError) as error:
            raise Broken(error) from error

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - signature of the base class
        """List the commands in the order in which they were added."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a list of commands for each heading."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            panel, help_line = self.described(name)
            panels.setdefault(panel, []).append((name, help_line))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows, col_max=12)

    def described(self, name: str) -> tuple[str, str]:
        """Return the heading and the help line of a command."""
        return "Commands", self.commands[name].get_short_help_str(200)


def group(help: str, *, cls: type[Commands] = Commands, **options: Any) -> typer.Typer:  # noqa: A002 - typer's name
    """Return an empty group of commands."""
    return typer.Typer(
        cls=cls,
        help=help,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        **_PLAIN,
        **options,
    )


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A line in a table of commands: enough to list the command without importing it."""

    panel: str
    """The heading under which the help lists the command."""
    source: str
    """`module:name` of the function, or of the Typer of a group, below `api.cli.commands`."""
    help: str
    """The first sentence of the command's own help."""

    def load(self, name: str) -> Any:
        """Import the command."""
        module, _, attribute = self.source.partition(":")
        target = getattr(import_module(f"api.cli.commands.{module}"), attribute)
        if isinstance(target, typer.Typer):
            return get_group(target)
        alone = typer.Typer(**_PLAIN)
        alone.command(name)(target)
        return get_command(alone)


class _Loader(MutableMapping[str, Any]):
    """The commands of a table by name, each imported when it is first looked up."""

    def __init__(self, table: Mapping[str, LazyCommand]) -> None:
        self._table = table
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = self._table[name].load(name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]


def lazy_commands(table: Mapping[str, LazyCommand]) -> type[Commands]:
    """Return the class of a group that has the commands of the table."""

    class LazyCommands(Commands):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.commands = _Loader(table)

        def described(self, name: str) -> tuple[str, str]:
            """Return the heading and the help line, without importing the command."""
            return table[name].panel, table[name].help

    return LazyCommands

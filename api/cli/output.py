"""Printing: text for people or a JSON document for programs; colour only on a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from api.cli.streams import is_unicode

_PIPE_WIDTH = 400  # lines in a file or a pipe are not cut off


class _Screen(Console):
    """A console that leaves a closed pipe to the report of errors."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Return the terminal, or a plain stream if output goes elsewhere."""
    stream = sys.stderr if stderr else sys.stdout
    return _Screen(stderr=stderr, highlight=False, width=None if stream.isatty() else _PIPE_WIDTH)


def say(*lines: RenderableType) -> None:
    """Print for people. Ids, paths and links in plain lines are not broken at the width of the terminal."""
    screen = console()
    for line in lines:
        screen.print(line, soft_wrap=isinstance(line, str | Text))


def hint(line: str) -> None:
    """Print a remark on stderr, so that it never gets into a pipe."""
    console(stderr=True).print(line, style="dim", markup=False, soft_wrap=True)  # ids and paths stay whole


def emit(document: Any) -> None:
    """Print a JSON document for programs."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=not is_unicode(sys.stdout)) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> Table:
    """Return aligned columns without borders; the columns in `right` hold numbers."""
    result = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    numbers = set(right)
    for column in columns:
        is_number = column in numbers
        result.add_column(Text(column), justify="right" if is_number else "left", no_wrap=is_number)
    for row in rows:
        result.add_row(*map(cell, row))
    return result


def cell(words: str) -> Text:
    """Return a cell of a table. Only a word in its colour is read as markup: names of users may hold brackets."""
    return Text.from_markup(words) if _COLOURED.fullmatch(words) else Text(words)


_COLOURED = re.compile(r"\[(cyan|green|yellow|red)\][A-Za-z]+\[/\]")


_COLOURS = {
    "RUNNING": "cyan",
    "STOPPING": "cyan",
    "SUCCEEDED": "green",
    "STOPPED": "yellow",
    "PAUSED": "yellow",
    "FAILED": "red",
    "CANCELLED": "red",
}


def state(name: str) -> str:
    """Return a state in its colour, as markup."""
    colour = _COLOURS.get(name)
    return f"[{colour}]{name}[/]" if colour else name

"""Where output goes: text for people or one JSON document for programs; colour only on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

_PIPE_WIDTH = 400  # into a file or a pipe nothing is cut off


def console(*, stderr: bool = False) -> Console:
    """The terminal, or a plain stream where there is none."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else _PIPE_WIDTH)


def say(*lines: RenderableType) -> None:
    """Print for people."""
    screen = console()
    for line in lines:
        screen.print(line)


def hint(line: str) -> None:
    """A remark beside the result; on stderr, so that it never gets into a pipe."""
    console(stderr=True).print(line, style="dim", markup=False)


def emit(document: Any) -> None:
    """Print one JSON document for programs."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> Table:
    """Aligned columns without lines around them; those named in `right` are numbers."""
    from rich.table import Table
    from rich.text import Text

    result = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    numbers = set(right)
    for column in columns:
        is_number = column in numbers
        result.add_column(column, justify="right" if is_number else "left", no_wrap=is_number)
    for row in rows:
        result.add_row(*(Text.from_markup(cell) if cell.startswith("[") else Text(cell) for cell in row))
    return result


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
    """A state in its colour, as markup."""
    colour = _COLOURS.get(name)
    return f"[{colour}]{name}[/]" if colour else name

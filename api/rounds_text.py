"""What algorithms say of their rounds, as a table and as lines: `{"quality": {"loss": {"low": 0.6}}}` is `low=0.6`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from api import text
from api.cli.output import table

if TYPE_CHECKING:
    from rich.table import Table

Path: TypeAlias = tuple[str, ...]


def round_table(rounds: Sequence[Mapping[str, Any]]) -> Table:
    """One line per round, a column for each thing that any of them says."""
    said = [dict(_leaves(one["data"])) for one in rounds]
    names = _named(dict.fromkeys(path for one in said for path in one))
    rows = [
        (str(one["number"]), *(text.value(leaves.get(path)) for path in names))
        for one, leaves in zip(rounds, said, strict=True)
    ]
    columns = ("round", *names.values())
    return table(columns, rows, right=columns)


def round_line(number: int, data: Mapping[str, Any]) -> str:
    """`round 3  trials=48  rank_correlation=0.83`."""
    leaves = dict(_leaves(data))
    said = text.values({name: leaves[path] for path, name in _named(leaves).items()})
    return f"round {number}  {said}".rstrip()


def _leaves(data: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Where each value stands, and the value; rows of numbers are left to charts."""
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, name))
        elif not _is_matrix(value):
            yield (*above, name), value


def _is_matrix(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, list) for one in value)


def _named(paths: Mapping[Path, Any]) -> dict[Path, str]:
    """The end of each path that no other one has, or all of it."""
    return {path: ".".join(next((end for end in _ends(path) if _is_own(end, paths)), path)) for path in paths}


def _ends(path: Path) -> Iterator[Path]:
    return (path[-length:] for length in range(1, len(path)))


def _is_own(end: Path, paths: Mapping[Path, Any]) -> bool:
    return sum(path[-len(end) :] == end for path in paths) == 1

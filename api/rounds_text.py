"""The reports of algorithms after each round, as texts: `{"quality": {"loss": {"low": 0.6}}}` is `low=0.6`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from api import text

Path: TypeAlias = tuple[str, ...]


def round_columns(rounds: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the columns and rows of a table: a row per round, a column for each value that any round reports."""
    leaves = [dict(_leaves(report["data"])) for report in rounds]
    names = _named(dict.fromkeys(path for values in leaves for path in values))
    rows = [
        (str(report["number"]), *(text.value(values.get(path)) for path in names))
        for report, values in zip(rounds, leaves, strict=True)
    ]
    return ["round", *names.values()], rows


def round_line(number: int, data: Mapping[str, Any]) -> str:
    """Return `round 3  trials=48  rank_correlation=0.83`."""
    leaves = dict(_leaves(data))
    values = text.values({name: leaves[path] for path, name in _named(leaves).items()})
    return f"round {number}  {values}".rstrip()


def _leaves(data: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield each value with its path; matrices are omitted, because charts show them."""
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, name))
        elif not _is_matrix(value):
            yield (*above, name), value


def _is_matrix(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, list) for one in value)


def _named(paths: Mapping[Path, Any]) -> dict[Path, str]:
    """Return for each path its shortest unambiguous end, or the whole path."""
    return {path: ".".join(next((end for end in _ends(path) if _is_own(end, paths)), path)) for path in paths}


def _ends(path: Path) -> Iterator[Path]:
    return (path[-length:] for length in range(1, len(path)))


def _is_own(end: Path, paths: Mapping[Path, Any]) -> bool:
    return sum(path[-len(end) :] == end for path in paths) == 1

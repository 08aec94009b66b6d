"""Values as short texts for people: units, durations, ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_COUNTED = frozenset({"flops", "params", "bytes", "memory_bytes", "rejected", "skipped"})
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
MISSING = "-"


def quantity(metric: str, value: float | None) -> str:
    """Return a metric's value with its unit: counts as `1.2 M`, seconds as a duration, others in 4 digits."""
    if value is None:
        return MISSING
    if metric in _COUNTED:
        return count(value)
    if metric == "seconds" or metric.endswith("_seconds"):
        return duration(value)
    return f"{value:.4f}" if 0.001 <= abs(value) < 100 or value == 0 else f"{value:.4g}"


def count(value: float) -> str:
    """Return `950`, `1.2 k`, `3.4 M`, ..."""
    for size, prefix in _PREFIXES:
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.4g}"


def numbered(number: int, noun: str) -> str:
    """Return a number with its noun: `1 trial`, `1,200 trials`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float | None) -> str:
    """Return `0.4 s`, `42 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`."""
    if seconds is None:
        return MISSING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def moment(value: str | float | None) -> str:
    """Return a point in time (RFC 3339 or Unix seconds) in the local zone, to the second."""
    if value is None:
        return MISSING
    at = datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else datetime.fromisoformat(value)
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(value: str | float | None, now: float) -> str:
    """Return the time that has passed since then."""
    if value is None:
        return MISSING
    at = value if isinstance(value, int | float) else datetime.fromisoformat(value).timestamp()
    return f"{duration(max(0.0, now - at))} ago"


def value(parameter: Any) -> str:
    """Return a parameter's value: numbers short, true and false as in YAML, lists with commas."""
    if isinstance(parameter, bool):
        return "true" if parameter else "false"
    if isinstance(parameter, list):
        return ", ".join(map(value, parameter))
    return f"{parameter:.4g}" if isinstance(parameter, float) else MISSING if parameter is None else str(parameter)


def choice(parameter: Any) -> str:
    """Return the value that a parameter has: `null` for None, which is a choice such as any other."""
    return "null" if parameter is None else value(parameter)


def labels(choices: Sequence[Any]) -> list[str]:
    """Return a label per choice, all different: choices that look alike, such as 1 and "1", are written as JSON."""
    words = [choice(one) for one in choices]
    repeated = {word for word, times in Counter(words).items() if times > 1}
    pairs = zip(words, choices, strict=True)
    return [json.dumps(one, ensure_ascii=False) if word in repeated else word for word, one in pairs]


def values(candidate: Mapping[str, Any]) -> str:
    """Return a candidate on a single line."""
    return "  ".join(f"{name}={choice(one)}" for name, one in candidate.items())


def short(identifier: str) -> str:
    """Return the beginning of a job id for people to type: the time part and some random digits of a UUIDv7."""
    return identifier[:18]

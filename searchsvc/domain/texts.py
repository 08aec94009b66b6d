"""Texts of users: names of parameters and metrics as a field writes them, and texts that are values.

| text | may hold |
|---|---|
| value of a parameter | everything but control characters (a tab and a line break are allowed) and halves of pairs |
| name of a metric | every character that can be shown |
| name of a parameter | likewise, without `=` and without a blank at its ends |

Names of metrics may hold what the names of classes hold, from which metrics such as `ap/traffic light` are made.
"""

from __future__ import annotations

import unicodedata

_UNSEEN = frozenset(("Cc", "Cs", "Zl", "Zp"))
"""Control characters, halves of surrogate pairs, separators of lines and paragraphs."""
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that reverse the order in which other characters are shown."""
_IN_VALUES = frozenset("\t\n\r")


def check_text(text: str) -> str:
    """Return `text`. Raises ValueError if it holds a character that cannot be stored or shown."""
    if unseen := _unseen(text, allowed=_IN_VALUES):
        raise ValueError(f"a text must not hold the character {unseen}")
    return text


def check_metric(name: str) -> str:
    """Return the name of a metric. Raises ValueError if it holds a character that cannot be shown."""
    if unseen := _unseen(name):
        raise ValueError(f"a name must not hold the character {unseen}, which cannot be shown")
    return name


def check_name(name: str) -> str:
    """Return the name of a parameter. Raises ValueError if it cannot be written in a command or in a table."""
    check_metric(name)
    if name != name.strip():
        raise ValueError("a name must not begin or end with a blank")
    if "=" in name:
        raise ValueError("a name must not hold '=', which separates names from values in commands")
    return name


def _unseen(text: str, allowed: frozenset[str] = frozenset()) -> str | None:
    """Return the first character that cannot be shown, as U+0007."""
    for character in text:
        if character not in allowed and (unicodedata.category(character) in _UNSEEN or character in _TURNING):
            return f"U+{ord(character):04X}"
    return None

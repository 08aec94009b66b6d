"""Faults of documents in our own words: each error of the validator becomes a message with a JSON pointer.

| error of the validator | message |
|---|---|
| a value of a wrong type | must be a whole number, not 'many' |
| a union, of which no member fits: an error per member | must be true or false, a number, a text or null, not a list |
| a limit | must be at least 1, not -1 |
| an unknown key, an unknown word | unknown key; did you mean 'epochs'? |
| raised by a check of ours | the text of the check |

Every type of error has words here; the text of the validator itself is never shown.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from difflib import get_close_matches
from types import MappingProxyType, UnionType
from typing import Annotated, Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from searchsvc.errors import Fault, InvalidInput, pointer

ModelT = TypeVar("ModelT", bound=BaseModel)
Details: TypeAlias = Mapping[str, Any]
"""An error of the validator: its type, location, input and context."""
_MOST_SHOWN = 60
_LONG = 1e17

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "int_parsing_size": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "float_parsing": "a number",
        "string_type": "a text",
        "none_required": "null",
        "list_type": "a list",
        "tuple_type": "a list",
        "set_type": "a list",
        "frozen_set_type": "a list",
        "iterable_type": "a list",
        "dict_type": "a mapping of keys to values",
        "mapping_type": "a mapping of keys to values",
        "model_type": "a mapping of keys to values",
        "model_attributes_type": "a mapping of keys to values",
        "dataclass_type": "a mapping of keys to values",
        "dataclass_exact_type": "a mapping of keys to values",
        "arguments_type": "a mapping of keys to values",
        "datetime_type": "a date and time such as 2026-01-31T12:00:00Z",
        "datetime_parsing": "a date and time such as 2026-01-31T12:00:00Z",
        "datetime_from_date_parsing": "a date and time such as 2026-01-31T12:00:00Z",
        "datetime_object_invalid": "a date and time such as 2026-01-31T12:00:00Z",
        "timezone_aware": "a date and time with its zone, such as 2026-01-31T12:00:00Z",
        "uuid_type": "an id",
        "uuid_parsing": "an id",
    }
)
"""Type of error -> the kind of value that would be right."""

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is missing",
        "missing_argument": "is missing",
        "union_tag_not_found": "is missing",
        "greater_than": "must be above {gt}, not {value}",
        "greater_than_equal": "must be at least {ge}, not {value}",
        "less_than": "must be below {lt}, not {value}",
        "less_than_equal": "must be at most {le}, not {value}",
        "multiple_of": "must be a multiple of {multiple_of}, not {value}",
        "finite_number": "must be a number, neither NaN nor infinity",
        "string_too_short": "must have at least {min_length} characters",
        "string_too_long": "must have at most {max_length} characters, not {length}",
        "too_short": "must have at least {min_length} entries, not {length}",
        "too_long": "must have at most {max_length} entries, not {length}",
        "literal_error": "must be {expected}, not {value}",
        "enum": "must be {expected}, not {value}",
        "union_tag_invalid": "must be {expected_tags}, not {tag}",
        "invalid_key": "its key must be a text",
        "recursion_loop": "must not contain itself",
        "string_unicode": "must be text in UTF-8",
        "bytes_invalid_encoding": "must be text in UTF-8",
        "json_invalid": "must be JSON",
        "json_type": "must be JSON",
    }
)
"""Type of error -> message, with places for the context of the error, the value, and its length."""
_EMPTY = frozenset({"string_too_short", "too_short"})
_UNKNOWN_WORD = frozenset({"literal_error", "enum", "union_tag_invalid"})
_VALUE = frozenset({"true or false", "a number", "a text"})
"""Kinds that show that any value of a parameter would be right, null as well."""
OWN = frozenset({"value_error", "assertion_error"})
"""Errors that carry a text of ours."""
UNKNOWN_KEY = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
WORDED = frozenset({*KINDS, *_WORDS, *OWN, *UNKNOWN_KEY})
"""Types of errors that have words of their own."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Annotation of a text that must match `pattern`; `words` say so in the message: `must ...`."""

    pattern: str
    words: str

    def check(self, text: str | None) -> str | None:
        """Return the text. Raises ValueError if it does not match."""
        if text is None or re.fullmatch(self.pattern, text):
            return text
        raise ValueError(f"must {self.words}, not {shown(text)}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate as a text, then match the pattern."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Show the pattern to programs."""
        return {**handler(schema), "pattern": self.pattern}


def parse_section(model: type[ModelT], section: Mapping[str, Any]) -> ModelT:
    """Validate a part of a spec by itself. Raises InvalidInput with pointers into that part."""
    try:
        return model.model_validate(dict(section))
    except ValidationError as error:
        raise InvalidInput(faults_of(error, section, model)) from None


def faults_of(error: ValidationError, document: object, model: Any = None) -> list[Fault]:
    """Return the faults of an error of the validator, with JSON pointers into `document`.

    `model` is the class that the document was validated by; with it, an unknown key is compared with the known keys.
    """
    return faults_at([(_place(detail, document), detail) for detail in error.errors(include_url=False)], model)


def faults_of_json(error: ValidationError, text: str | bytes, model: Any = None) -> list[Fault]:
    """Return `faults_of` for a text that was validated as JSON, and may be none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    return faults_of(error, document, model)


def faults_at(details: Iterable[tuple[str, Details]], model: Any = None) -> list[Fault]:
    """Return a fault per wrong place, from pairs of a JSON pointer and an error of the validator.

    The errors of the members of a union become a single fault.
    """
    messages: defaultdict[str, dict[str, str]] = defaultdict(dict)
    kinds: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    places: dict[str, None] = {}
    for place, detail in details:
        places[place] = None
        if kind := KINDS.get(detail["type"]):
            kinds[place][kind] = detail.get("input")
        else:
            messages[place][_message(detail, model)] = detail["type"]
    faults = []
    for place in places:
        # With a fault further inside, another member of the union fits better, or entries are not counted as they are
        # wrong themselves.
        is_inside = any(other.startswith(place + "/") for other in places)
        if place in messages:
            named = messages[place].items()
            faults += [Fault(place, message) for message, kind in named if kind != "too_short" or not is_inside]
        elif not is_inside:
            faults.append(Fault(place, _wrong_kind(kinds[place])))
    return faults


def pointer_to(location: Iterable[int | str], document: object, missing: Iterable[int | str] = ()) -> str:
    """Return the JSON pointer for a location: its steps that exist in the document, then `missing`.

    The validator puts the tags of unions between the steps; a tag is not a key of the document, so it is left out.
    """
    steps: list[int | str] = []
    at = document
    for step in location:
        is_key = isinstance(at, Mapping) and step in at
        is_index = isinstance(at, list | tuple) and isinstance(step, int) and step < len(at)
        if is_key or is_index:
            at = at[step]  # type: ignore[index]  # the two lines above ensure that it can be indexed
            steps.append(step)
    return pointer(*steps, *missing)


def shown(value: Any) -> str:
    """Return a value for a message, as a document shows it: `null`, `true`, `'sgd'`, `a list`."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    text = {None: "null", True: "true", False: "false"}[value] if isinstance(value, bool | None) else repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 4]}...{text[-1]}"


def close_key(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known name, or all of them if they are few."""
    names = list(dict.fromkeys(known))
    if near := get_close_matches(name, names, n=1):
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(names)}" if names else ""


# ---- messages ------------------------------------------------------------------------------------------------------


def _place(detail: Details, document: object) -> str:
    kind, location, context = detail["type"], tuple(detail["loc"]), detail.get("ctx") or {}
    if kind in ("missing", "missing_argument"):
        return pointer_to(location[:-1], document, location[-1:])
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return pointer_to(location, document, [str(context["discriminator"]).strip("'()")])
    return pointer_to(location, document)


def _message(detail: Details, model: Any) -> str:
    kind, context, value = detail["type"], detail.get("ctx") or {}, detail.get("input")
    if kind in UNKNOWN_KEY:
        *steps, key = detail["loc"]
        return "unknown key" + close_key(str(key), _keys_at(model, steps))
    if kind in OWN:
        return str(detail["msg"]).partition(", ")[2]
    if kind in _EMPTY and context["min_length"] == 1:
        return "must not be empty"
    message = _WORDS.get(kind, "is not a value that can stand here").format_map(_written(context, value))
    return message + _nearest(context, value) if kind in _UNKNOWN_WORD else message


def _written(context: Mapping[str, Any], value: Any) -> dict[str, str]:
    """Return the parts of a message: numbers as people write them, and known words without quotes."""
    parts = {name: _number(one) if isinstance(one, int | float) else str(one) for name, one in context.items()}
    for name in ("expected", "expected_tags"):
        if name in context:
            parts[name] = " or ".join(_words_of(context))
    length = f"{len(value):,}" if isinstance(value, Sequence | Mapping) else ""
    return {**parts, "value": shown(value), "length": length, "tag": shown(context.get("tag"))}


def _words_of(context: Mapping[str, Any]) -> list[str]:
    """Return the known words of an error about an unknown word."""
    expected = str(context.get("expected", context.get("expected_tags")))
    return re.findall(r"'([^']*)'", expected) or [expected]


def _nearest(context: Mapping[str, Any], value: Any) -> str:
    near = get_close_matches(str(context.get("tag", value)), _words_of(context), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _wrong_kind(kinds: Mapping[str, Any]) -> str:
    """Return the message for a value of a wrong kind, from kinds that would be right -> the value."""
    right = [kind for kind in kinds if not (kind == "a whole number" and "a number" in kinds)]
    if _VALUE.issubset(right):
        right.append("null")
    *most, last = right
    value = next(iter(kinds.values()))
    return f"must be {', '.join(most) + ' or ' if most else ''}{last}, not {shown(value)}"


def _number(limit: float) -> str:
    return f"{int(limit):,}" if float(limit).is_integer() and abs(limit) < _LONG else f"{limit:g}"


# ---- keys of a model -----------------------------------------------------------------------------------------------


def _keys_at(model: Any, steps: Sequence[int | str]) -> list[str]:
    """Return the keys that a document may have at a location of the validator."""
    members = [*_members(model)] if model is not None else []
    for step in steps:
        below = [inner for member in members for inner in _inside(member, step)]
        tagged = [member for member in members if _has_tag(member, step)]
        members = below or [_bare(member) for member in tagged] or members
    return [key for member in members for key in _fields(_bare(member))]


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union, each with its annotations."""
    bare = _bare(annotation)
    if get_origin(bare) in (Union, UnionType):
        for member in get_args(bare):
            yield from _members(member)
    elif get_origin(annotation) is Annotated and get_origin(bare) is not Annotated:
        yield annotation
    else:
        yield bare


def _bare(annotation: Any) -> Any:
    return _bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def _has_tag(member: Any, step: int | str) -> bool:
    """Return whether a member of a tagged union has that tag: by its annotation, its `type`, or its name."""
    tags = [getattr(extra, "tag", None) for extra in getattr(member, "__metadata__", ())]
    bare = _bare(member)
    return step in tags or step in get_args(_fields(bare).get("type")) or step == getattr(bare, "__name__", None)


def _inside(member: Any, step: int | str) -> Iterator[Any]:
    """Yield what a member holds at a key or an index."""
    bare = _bare(member)
    origin, arguments = get_origin(bare), get_args(bare)
    if step in (fields := _fields(bare)):
        yield from _members(fields[str(step)])
    elif isinstance(step, int) and origin in (list, tuple, set, frozenset):
        yield from _members(arguments[0])
    elif isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
        yield from _members(arguments[1])


def _fields(kind: Any) -> dict[str, Any]:
    """Return the fields of a model or of a dataclass, with their annotations."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return get_type_hints(kind, include_extras=True)
    return {}

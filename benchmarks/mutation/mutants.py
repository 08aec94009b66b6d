"""The mutants of a module: places in its code, and Cosmic Ray's operators that change them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.exception_replacer import ExceptionReplacer
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.plugins import get_operator
from parso.python import tree

_COMPARISONS = {
    "Eq": ["NotEq"],
    "NotEq": ["Eq"],
    "Lt": ["LtE", "GtE"],
    "LtE": ["Lt", "Gt"],
    "Gt": ["GtE", "LtE"],
    "GtE": ["Gt", "Lt"],
    "Is": ["IsNot"],
    "IsNot": ["Is"],
}
_ARITHMETIC = {
    "Add": "Sub",
    "Sub": "Add",
    "Mul": "Div",
    "Div": "Mul",
    "FloorDiv": "Mul",
    "Mod": "FloorDiv",
    "Pow": "Mul",
    "BitOr": "BitAnd",
    "BitAnd": "BitOr",
}
_CORE = [
    *(f"ReplaceComparisonOperator_{old}_{new}" for old, others in _COMPARISONS.items() for new in others),
    *(f"ReplaceBinaryOperator_{old}_{new}" for old, new in _ARITHMETIC.items()),
    *("ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_Invert"),
    *("AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ExceptionReplacer", "NumberReplacer"),
    *("RemoveDecorator", "ZeroIterationForLoop"),
]
"""Cosmic Ray's operators. Of the replacements of an operator, only those whose result still has the right type: the
others fail at once, whatever the tests claim."""
_LOGGERS = ("logger", "_log")
_UNCHANGED_ARGUMENTS = ("slots", "frozen")
_STATEMENTS = ("raise_stmt", "return_stmt", "del_stmt")


class LeaveOutStatement(Operator):
    """Leave out a call, a raise, a return, a del, or an assignment to an attribute or an item."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if node.type == "simple_stmt" and _is_effect(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002 - Cosmic Ray's
        first = node.children[0].get_first_leaf()
        node.children[0] = tree.Keyword("pass", first.start_pos, first.prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[Any, ...]:
        return (Example("self.x = 1\n", "pass\n"), Example("f(x)\n", "pass\n"), Example("raise Error\n", "pass\n"))


def _is_effect(statement: Any) -> bool:
    if statement.type in _STATEMENTS:
        return True
    if statement.type == "expr_stmt":
        return statement.children[0].type in ("atom_expr", "power")
    return statement.type in ("atom_expr", "power") and _text(statement.children[0]) not in _LOGGERS


def _text(node: Any) -> str:
    text: str = node.get_code(include_prefix=False)
    return text


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one change."""

    path: Path
    """Path relative to the root of the tree."""
    line: int
    before: str
    """The line as it is."""
    after: str
    code: str
    """The whole changed module."""


@dataclass(frozen=True, slots=True)
class Place:
    """Code that at least one operator can change."""

    path: Path
    source: str
    """Code of the whole module."""
    changes: tuple[tuple[Any, int], ...]
    """Operators, each with the number of this place among those that it can change."""

    def mutant(self, generator: random.Random) -> Mutant:
        """Apply one of the operators, drawn by the generator."""
        code: str = mutate_code(self.source, *generator.choice(self.changes))
        old, new = self.source.splitlines(), code.splitlines()
        _, first, last, *span = next(
            step for step in SequenceMatcher(None, old, new).get_opcodes() if step[0] != "equal"
        )
        before = " ".join(" ".join(old[first:last]).split())
        line = next((number for number in range(first, last) if old[number].strip()), first) + 1
        return Mutant(self.path, line, before, " ".join(" ".join(new[slice(*span)]).split()), code)


def places_of(path: Path, source: str) -> list[Place]:
    """Return the places of a module in their order."""
    syntax, lines = get_ast(source), source.splitlines()
    excluded = list(_excluded(syntax))
    changes: defaultdict[tuple[Any, Any], list[tuple[Any, int]]] = defaultdict(list)
    for operator in [*(get_operator(f"core/{name}")() for name in _CORE), LeaveOutStatement()]:
        positions = (place for node in ast_nodes(syntax) for place in operator.mutation_positions(node))
        for occurrence, (start, end) in enumerate(positions):
            if isinstance(operator, ExceptionReplacer) and "." in lines[start[0] - 1][start[1] : end[1]]:
                continue  # Cosmic Ray cannot replace a dotted name
            if not any(first <= start and end <= last for first, last in excluded):
                changes[start, end].append((operator, occurrence))
    return [Place(path, source, tuple(changes[span])) for span in sorted(changes)]


def _excluded(syntax: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the spans in which a change is no fault, or one of taste: annotations, slots, module constants."""
    for node in ast_nodes(syntax):
        if node.type in ("param", "funcdef") and node.annotation is not None:
            yield node.annotation.start_pos, node.annotation.end_pos
        elif node.type == "annassign":
            yield node.children[1].start_pos, node.children[1].end_pos
        elif (node.type == "argument" and _text(node.children[0]) in _UNCHANGED_ARGUMENTS) or (
            node.type == "expr_stmt" and node.parent.parent is syntax and node.children[0].type == "name"
        ):
            yield node.start_pos, node.end_pos

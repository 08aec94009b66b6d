"""The source code as data: modules, classes, docstrings and imports, read with `ast`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("searchsvc", "workers", "api")
FOLDERS = (*PACKAGES, "migrations", "tests", "benchmarks")

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def modules(*folders: str) -> list[Path]:
    """Return every Python file below the folders, in alphabetical order."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path: Path) -> str:
    """Return the path relative to the root of the repository, for test ids and messages."""
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    """Parse a file once per test run."""
    return ast.parse(path.read_text(encoding="utf-8"))


def classes(path: Path) -> Iterator[ast.ClassDef]:
    """Yield the classes of a file, including nested classes."""
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef))


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of the docstrings of a module, its classes, functions and documented attributes."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text
        if isinstance(node, (ast.Module, ast.ClassDef)):
            yield from _attribute_docstrings(node.body)


def _attribute_docstrings(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    for statement, following in pairwise(body):
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and isinstance(following, ast.Expr):
            value = following.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield following.lineno, value.value

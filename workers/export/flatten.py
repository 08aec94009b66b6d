"""Flattens a module and its dependencies in this project into a single file, which runs without the project.

The file holds the source of every definition that the module uses, directly or indirectly, and no others. Names of
other packages stay imports. So no code is duplicated: the file does exactly the same as the project.

A definition is a statement at the top of a module: a function, a class, a constant with the text below it. Names of the
project must be imported individually, at the top, under their own names; two definitions cannot share a name.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

_PROJECT = ("searchsvc", "workers")
_WIDTH = 120
_PRAGMA = re.compile(r"  # (?:noqa|type: ignore)\b.*$", re.MULTILINE)
"""Instructions to the linters of this project."""


class QualifiedName(NamedTuple):
    """A name at the top of a module."""

    module: str
    name: str


class Import(NamedTuple):
    """The meaning of a local name: `name` of `module`, or the module itself if `name` is None."""

    module: str
    name: str | None
    alias: str | None

    @property
    def is_of_project(self) -> bool:
        return self.module.partition(".")[0] in _PROJECT


@dataclass(frozen=True, slots=True)
class Constant:
    """The value of a constant in the file."""

    text: str
    """The right side of its assignment."""
    uses: tuple[QualifiedName, ...] = ()
    """Names in the text. A constant of the module itself that uses no names is placed at the beginning of the file."""


def flatten(module: str, constants: Mapping[QualifiedName, Constant]) -> str:
    """Return the source of `module` as a single file, with `constants` replacing the definitions of their names.

    Raises ValueError if project modules do not follow the rules above.
    """
    return _Flattening(module, constants).text()


class _ModuleSource:
    """The source of a module, as text and as statements."""

    def __init__(self, name: str) -> None:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ValueError(f"there is no source of {name}")
        text = Path(spec.origin).read_text(encoding="utf-8")
        self.name, self.lines, self.body = name, text.splitlines(), ast.parse(text).body
        self.definitions = {name: statement for statement in self.body for name in _assigned(statement)}
        self.imports = {local: one for statement in self.body for local, one in _imported(statement)}

    @property
    def docstring(self) -> str:
        return self._text(self.body[0], self.body[0])

    @property
    def title(self) -> str:
        """The first words of the docstring."""
        return re.split(r"\s*[.:;,(]", self.docstring.strip('"'), maxsplit=1)[0].replace("\n", " ")

    def text(self, statement: ast.stmt) -> str:
        """Return the lines of a statement, with its decorators and the string that documents it."""
        below = self._documentation(statement)
        return self._text(statement, below or statement)

    def assignment(self, statement: ast.stmt, value: str) -> str:
        """Return the text of an assignment with another right side."""
        assert isinstance(statement, ast.Assign | ast.AnnAssign)
        assert statement.value is not None
        left = self.lines[statement.lineno - 1][: statement.value.col_offset]
        below = self._documentation(statement)
        return "\n".join([left + value, *([self._text(below, below)] if below else [])])

    def _text(self, first: ast.stmt, last: ast.stmt) -> str:
        start = min([first.lineno, *(one.lineno for one in getattr(first, "decorator_list", ()))])
        return _PRAGMA.sub("", "\n".join(self.lines[start - 1 : last.end_lineno]))

    def _documentation(self, statement: ast.stmt) -> ast.stmt | None:
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            return None
        following = self.body[self.body.index(statement) + 1 :][:1]
        return next((one for one in following if _is_text(one)), None)


class _Flattening:
    """Follows the definitions of a module to all definitions that they use."""

    def __init__(self, module: str, constants: Mapping[QualifiedName, Constant]) -> None:
        self._main, self._constants = module, constants
        self._sources: dict[str, _ModuleSource] = {}
        self._used: dict[str, set[ast.stmt]] = {module: set()}
        """Used statements by module."""
        self._edges: dict[str, dict[str, None]] = {module: {}}
        """By module, the modules whose definitions it uses, in the order of discovery."""
        self._owners: dict[str, str] = {}
        """Modules by the name of a definition."""
        self._imports: set[Import] = set()
        self._visit_module(module)

    def text(self) -> str:
        main = self._sources[self._main]
        head = f"{main.docstring}\n\nfrom __future__ import annotations\n\n{_import_lines(self._imports)}\n\n"
        settings = [(name, one) for (module, name), one in self._constants.items() if self._is_setting(module, one)]
        beginning = "\n".join(main.assignment(main.definitions[name], one.text) for name, one in settings)
        sections = [self._section(name) for name in TopologicalSorter(self._edges).static_order()]
        return "\n\n".join([head + beginning, *sections]) + "\n"

    def _is_setting(self, module: str, constant: Constant) -> bool:
        """Return whether the constant is placed at the beginning of the file."""
        return module == self._main and not constant.uses

    def _visit_module(self, name: str) -> None:
        """Visit all statements of the flattened module, including those at its end."""
        source = self._source(name)
        for statement in source.body:
            if not isinstance(statement, ast.Import | ast.ImportFrom) and not _is_text(statement):
                self._visit(source, statement)

    def _visit(self, source: _ModuleSource, statement: ast.stmt) -> None:
        used = self._used.setdefault(source.name, set())
        if statement in used:
            return
        used.add(statement)
        for name in _assigned(statement):
            if self._owners.setdefault(name, source.name) != source.name:
                raise ValueError(f"{name} is defined in {source.name} and in {self._owners[name]}")
        constant = self._constant(source, statement)
        if constant is not None:
            for used_name in constant.uses:
                self._follow(source, Import(used_name.module, used_name.name, None))
        for name in _names(statement, without_value=constant is not None):
            if name in source.definitions:
                self._visit(source, source.definitions[name])
            elif name in source.imports:
                self._follow(source, source.imports[name])

    def _follow(self, user: _ModuleSource, imported: Import) -> None:
        if not imported.is_of_project:
            self._imports.add(imported)
            return
        if imported.name is None or imported.alias is not None:
            raise ValueError(f"{imported} is not the import of a name under its own name")
        source = self._source(imported.module)
        if imported.name in source.definitions:
            self._edges[user.name][source.name] = None
            self._edges.setdefault(source.name, {})
            self._visit(source, source.definitions[imported.name])
        elif imported.name in source.imports:
            self._follow(user, source.imports[imported.name])
        else:
            raise ValueError(f"{imported.module} does not define {imported.name}: modules are not imported as such")

    def _source(self, name: str) -> _ModuleSource:
        if name not in self._sources:
            self._sources[name] = _ModuleSource(name)
        return self._sources[name]

    def _constant(self, source: _ModuleSource, statement: ast.stmt) -> Constant | None:
        """Return the constant that replaces the statement, if any."""
        names = [QualifiedName(source.name, name) for name in _assigned(statement)]
        return next((self._constants[name] for name in names if name in self._constants), None)

    def _section(self, name: str) -> str:
        """Return a heading and the used definitions of a module, in its own order."""
        source = self._sources[name]
        lines = [f"\n# ---- {source.title if name != self._main else 'The program'} ".ljust(_WIDTH + 1, "-"), ""]
        for statement in source.body:
            if statement not in self._used[name]:
                continue
            constant = self._constant(source, statement)
            if constant is None:
                gap = [] if isinstance(statement, ast.Assign | ast.AnnAssign) else ["", ""]
                lines += [*gap, source.text(statement), *gap]
            elif not self._is_setting(name, constant):
                lines.append(source.assignment(statement, constant.text))
        return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).rstrip()


def _assigned(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))


def _imported(statement: ast.stmt) -> Iterator[tuple[str, Import]]:
    """Yield (local name, its meaning) of each import in a statement."""
    if isinstance(statement, ast.ImportFrom) and statement.module != "__future__":
        for alias in statement.names:
            yield alias.asname or alias.name, Import(str(statement.module), alias.name, alias.asname)
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.asname or alias.name.partition(".")[0], Import(alias.name, None, alias.asname)


def _names(statement: ast.stmt, *, without_value: bool) -> list[str]:
    """Return the names that a statement reads; for an assignment without its value, the names in its annotation."""
    read: ast.AST | None = statement
    if without_value:
        read = statement.annotation if isinstance(statement, ast.AnnAssign) else None
    nodes = [] if read is None else list(ast.walk(read))
    if any(
        isinstance(one, ast.ImportFrom) and one.module and Import(one.module, "", None).is_of_project for one in nodes
    ):
        raise ValueError(f"line {statement.lineno}: names of the project are imported inside a definition")
    return [one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)]


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _import_lines(imports: Iterable[Import]) -> str:
    """Return the imports: the standard library, then other packages; `import` before `from`, both sorted by module."""
    names: dict[tuple[bool, bool, str], list[str]] = {}
    for imported in sorted(imports, key=str):
        third_party = imported.module.partition(".")[0] not in sys.stdlib_module_names
        alias = f" as {imported.alias}" if imported.alias else ""
        members = names.setdefault((third_party, imported.name is not None, imported.module), [])
        members.append((imported.name or imported.module) + alias)
    groups: dict[bool, list[str]] = {}
    for (third_party, is_from, module), members in sorted(names.items()):
        start = f"from {module} import " if is_from else "import "
        groups.setdefault(third_party, []).append(start + ", ".join(members))
    return "\n\n".join(map("\n".join, groups.values()))

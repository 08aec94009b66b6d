"""The rooms of the code: their size, the names in them, and where imports stand."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from pathlib import Path

from tests.support.source import FUNCTIONS, PACKAGES, ROOT, classes, modules, name_of, tree_of

MODULES_PER_FOLDER = 20
METHODS_PER_CLASS = 24
IMPORTS_IN_FUNCTIONS = 39

SCHEMAS = ROOT / "api/rest/schemas"
"""A schema carries the name of the record that it shows."""


def test_no_folder_holds_more_modules_than_a_reader_can_survey() -> None:
    sizes = Counter(path.parent for path in modules(*PACKAGES) if path.name != "__init__.py")
    assert {name_of(folder): size for folder, size in sizes.items() if size > MODULES_PER_FOLDER} == {}


def test_no_class_has_more_methods_than_a_reader_can_survey() -> None:
    methods = {
        f"{name_of(path)} {node.name}": sum(isinstance(member, FUNCTIONS) for member in node.body)
        for path in modules(*PACKAGES)
        for node in classes(path)
    }
    assert {name: count for name, count in methods.items() if count > METHODS_PER_CLASS} == {}


def test_a_class_name_stands_for_one_class() -> None:
    homes: defaultdict[str, list[Path]] = defaultdict(list)
    for path in modules(*PACKAGES):
        if SCHEMAS not in path.parents:
            for node in classes(path):
                homes[node.name].append(path)
    assert {name: [name_of(path) for path in paths] for name, paths in homes.items() if len(paths) > 1} == {}


def test_imports_stand_at_the_top() -> None:
    """Imports inside functions delay heavy libraries (torch, Ray, SciPy); everything else is imported at the top."""
    inside = [f"{name_of(path)}:{line}" for path in modules(*PACKAGES) for line in sorted(_imports_in_functions(path))]
    assert len(inside) <= IMPORTS_IN_FUNCTIONS, inside


def _imports_in_functions(path: Path) -> set[int]:
    return {
        node.lineno
        for function in ast.walk(tree_of(path))
        if isinstance(function, FUNCTIONS)
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }


def test_unit_tests_mirror_the_tree() -> None:
    unit = ROOT / "tests/unit"
    folders = {path.parent.relative_to(unit) for path in modules("tests/unit") if path.name.startswith("test_")}
    assert {str(folder) for folder in folders if not (ROOT / folder).is_dir()} == set()

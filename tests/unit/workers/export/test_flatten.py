"""Modules of the project flattened into a file that does not need it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import workers.export.flatten
from workers.export.flatten import Constant, QualifiedName, flatten

SCHEDULE = "workers.training.schedule"


def run(text: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run the file in a Python without the project."""
    path.write_text(text)
    code = (
        "import runpy, sys\n"
        "sys.modules.update(searchsvc=None, workers=None)\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    return subprocess.run([sys.executable, "-I", "-c", code, path], capture_output=True, text=True, check=False)


def module(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    """Write modules of a package `searchsvc_parts`, which counts as the project's."""
    package = folder / "searchsvc_parts"
    package.mkdir()
    for name, text in {"__init__": '"""Parts."""\n', **files}.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("workers.export.flatten._PROJECT", ("searchsvc_parts",))


LOW = '''"""Low: below."""
import math

UNUSED = 1
BASE = 2  # noqa: X
"""Two."""

def base():
    return math.sqrt(BASE)

def twice(x):
    return 2 * x

def thrice(x):
    return 3 * x
'''


def test_what_is_used_is_there_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    high = '"""High."""\nfrom searchsvc_parts.low import base\n\nprint(round(base() ** 2))\n'
    module(tmp_path, monkeypatch, low=LOW, high=high)
    text = flatten("searchsvc_parts.high", {})
    assert run(text, tmp_path / "x.py").stdout == "2\n"
    assert "UNUSED" not in text
    assert "noqa" not in text
    assert "searchsvc" not in text
    assert 'BASE = 2\n"""Two."""\n' in text
    assert "# ---- Low ---" in text


def test_constants_are_replaced_with_what_they_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imports, use = "from searchsvc_parts.low import base, twice", "print(TIMES(VALUE), round(base() ** 2))"
    high = f'"""High."""\n{imports}\n\nTIMES = twice\nVALUE = 2\n\n{use}\n'
    module(tmp_path, monkeypatch, low=LOW, high=high)
    low = "searchsvc_parts.low"
    replaced = {
        QualifiedName("searchsvc_parts.high", "VALUE"): Constant("5"),
        QualifiedName("searchsvc_parts.high", "TIMES"): Constant("thrice", (QualifiedName(low, "thrice"),)),
        QualifiedName(low, "BASE"): Constant("7"),
    }
    text = flatten("searchsvc_parts.high", replaced)
    assert run(text, tmp_path / "x.py").stdout == "15 7\n"
    assert "twice" not in text
    assert text.index("VALUE = 5") < text.index("def thrice") < text.index("TIMES = thrice")


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ("X = 1\n", "from searchsvc_parts import low\n\nprint(low.X)\n", "modules are not imported as such"),
        ("X = 1\n", "from searchsvc_parts.low import X as Y\n\nprint(Y)\n", "its own name"),
        (
            "X = 1\n\ndef f():\n    return X\n",
            "from searchsvc_parts.low import f\n\nX = 2\n\nprint(f())\n",
            "X is defined",
        ),
        ("X = 1\n", "def f():\n    from searchsvc_parts.low import X\n    return X\n", "inside a definition"),
    ],
    ids=["module", "alias", "twice", "inside"],
)
def test_what_cannot_be_flattened_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, low: str, high: str, message: str
) -> None:
    module(tmp_path, monkeypatch, low=f'"""Low."""\n{low}', high=f'"""High."""\n{high}')
    with pytest.raises(ValueError, match=message):
        flatten("searchsvc_parts.high", {})


def test_the_file_is_the_same_in_every_process() -> None:
    folder = Path(workers.export.flatten.__file__).parent  # alone, without what its package imports
    code = f"import flatten; print(flatten.flatten({SCHEDULE!r}, {{}}))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{folder}:{Path(__file__).parents[4]}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    assert texts == {flatten(SCHEDULE, {}) + "\n"}

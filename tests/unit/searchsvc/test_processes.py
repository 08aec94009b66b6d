"""The import path of programs that searchsvc starts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from searchsvc import processes


def test_a_program_does_not_import_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "__init__.py").write_text("raise SystemExit('the wrong json')")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "module.py").write_text("import json; print('imported', json.dumps(1))")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "one")}
    ended = subprocess.run(
        processes.program("module"), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.stdout, ended.stderr) == ("imported 1\n", "")


@pytest.mark.parametrize(
    ("given", "absolute"),
    [
        ({}, {}),
        ({"PYTHONPATH": ""}, {}),
        ({"PYTHONPATH": ":"}, {}),
        ({"PYTHONPATH": ":/a::src:"}, {"PYTHONPATH": "/a:{here}/src"}),
        ({"PYTHONPATH": "."}, {"PYTHONPATH": "{here}"}),
    ],
)
def test_folders_that_the_user_names_stay_on_the_import_path(
    given: dict[str, str], absolute: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert processes.import_path(given) == {name: value.format(here=tmp_path) for name, value in absolute.items()}

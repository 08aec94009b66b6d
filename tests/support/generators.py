"""Generators of clients from OpenAPI documents, and other programs that tests start and a machine may lack."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

GENERATORS = Path(__file__).parents[2] / ".generators"
"""The folder in which `.ci/generators` installs them."""


def program(name: str, *folders: Path) -> str:
    """Return the path of a program, or skip the test; with CI=true, a missing program fails the test."""
    places = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    path = shutil.which(name, path=places)
    if path is not None:
        return path
    missing = f"{name} is not installed: sh .ci/packages && sh .ci/generators"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def python_client(document: Path, folder: Path) -> str:
    """Generate a Python package into `folder`. Return the output of the generator."""
    home = GENERATORS / "python" / "bin"
    command = [program("openapi-python-client", home), "generate", "--path", str(document)]
    return _output([*command, "--output-path", str(folder), "--meta", "none"], home)


def typescript(document: Path, file: Path) -> str:
    """Generate TypeScript into `file`, and check its types. Return the output of the generator and of the compiler."""
    home = GENERATORS / "node_modules" / ".bin"
    made = _output([program("openapi-typescript", home), str(document), "--output", str(file)], home)
    return made + _output([program("tsc", home), "--strict", "--noEmit", str(file)], home)


def _output(command: list[str], home: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = os.pathsep.join([str(Path(command[0]).parent), str(home), environment["PATH"]])
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=True, env=environment
    )
    return result.stdout

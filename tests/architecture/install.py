"""Installs a package without pip: writes what an installation leaves on the import path."""

from __future__ import annotations

import tomllib
from pathlib import Path


def install(folder: Path, pyproject: str) -> None:
    """Write the metadata of the package that lies in `folder`; Python finds its entry points if the folder is searched.

    `pyproject` is the text of its pyproject.toml.
    """
    project = tomllib.loads(pyproject)["project"]
    name, version = project["name"], project["version"]
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{entry} = {target}" for entry, target in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")

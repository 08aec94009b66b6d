"""Drafts: YAML texts from which to start a job's spec: the shipped examples, and the specs of other jobs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from searchsvc.domain import JobSpec

_FLAT = ("fidelity", "budget", "resources")
"""Sections without subsections, whose defaults are omitted."""


@dataclass(frozen=True, slots=True)
class Example:
    """A shipped example of a spec."""

    name: str
    text: str

    @property
    def about(self) -> str:
        """A description of the search: the first line of the text, which is a comment."""
        return self.text.partition("\n")[0].removeprefix("#").strip()


def examples() -> list[Example]:
    """List the shipped examples in alphabetical order."""
    folder = resources.files("searchsvc").joinpath("examples")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=str)
    return [Example(file.name.removesuffix(".yaml"), file.read_text("utf-8")) for file in files]


def of_spec(spec: JobSpec) -> str:
    """Return a spec as YAML that parses to the same spec, without values that equal their defaults.

    The stopping rule is always written, because its default depends on the algorithm.
    """
    document = spec.document()
    document |= {name: getattr(spec, name).model_dump(mode="json", exclude_defaults=True) for name in _FLAT}
    document["fidelity"]["epochs"] = spec.fidelity.epochs
    sections = {name: _without_nulls(section) for name, section in document.items()}
    return yaml.safe_dump(
        {name: section for name, section in sections.items() if section not in ({}, [], False)},
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )


def _without_nulls(section: Any) -> Any:
    """Remove nulls and empty mappings from a section."""
    if isinstance(section, dict):
        return {name: value for name, value in section.items() if value is not None and value != {}}
    return [_without_nulls(item) for item in section] if isinstance(section, list) else section

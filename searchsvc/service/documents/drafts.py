"""Drafts: texts to begin a job's spec with, as YAML for people: the shipped examples, and the spec of another job."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from searchsvc.domain import JobSpec

_FLAT = ("fidelity", "budget", "resources")
"""Sections without parts, whose defaults need not be written down."""


@dataclass(frozen=True, slots=True)
class Example:
    """A spec that ships."""

    name: str
    text: str

    @property
    def about(self) -> str:
        """What it searches: its first line, which is a comment."""
        return self.text.partition("\n")[0].removeprefix("#").strip()


def examples() -> list[Example]:
    """In alphabetical order."""
    files = [one for one in resources.files("searchsvc").joinpath("examples").iterdir() if one.name.endswith(".yaml")]
    return [Example(one.name.removesuffix(".yaml"), one.read_text("utf-8")) for one in sorted(files, key=str)]


def of_spec(spec: JobSpec) -> str:
    """A text that is read as the same spec; what is as by default is left out, the stopping rule excepted.

    Which rule is the default depends on the algorithm, so the one that a spec has is always named.
    """
    document = spec.document()
    document |= {name: getattr(spec, name).model_dump(mode="json", exclude_defaults=True) for name in _FLAT}
    document["fidelity"]["epochs"] = spec.fidelity.epochs
    kept = {name: _without_nothing(section) for name, section in document.items()}
    return yaml.safe_dump(
        {name: section for name, section in kept.items() if section not in ({}, [], False)},
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )


def _without_nothing(section: Any) -> Any:
    """Without what is empty or null, as far as it belongs to a section by itself."""
    if isinstance(section, dict):
        return {name: value for name, value in section.items() if value is not None and value != {}}
    return [_without_nothing(one) for one in section] if isinstance(section, list) else section

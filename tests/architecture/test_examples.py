"""Every spec that ships, and every spec in the documentation, is valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from searchsvc.domain import JobSpec, TrialKind
from searchsvc.service.documents.documents import load_document
from searchsvc.service.planning.blueprint import make_proposer
from searchsvc.service.planning.resolve import resolve
from searchsvc.settings import Settings

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
SECTION = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda one: one.name)
def test_an_example_resolves_and_proposes(path: Path, tmp_path: Path) -> None:
    spec = JobSpec.parse(load_document(path.read_text(encoding="utf-8")))
    blueprint = resolve(spec, trusted=True, settings=Settings(data_dir=tmp_path))
    [proposal] = make_proposer(blueprint).propose(1)
    is_supernet = proposal.kind is TrialKind.SUPERNET
    assert is_supernet or blueprint.space.contains(proposal.candidate) is None


def test_make_run_searches_enough_in_three_minutes() -> None:
    budget = JobSpec.parse(load_document((ROOT / "examples/digits.yaml").read_text())).budget
    assert budget.trials >= 24
    assert budget.seconds is not None
    assert budget.seconds <= 180


@pytest.mark.parametrize(
    "page", ["job-spec.md", "datasets.md", "quickstart.md", "autohas.md", "detection.md", "self-training.md"]
)
def test_sections_in_the_documentation_fit_into_a_spec(page: str) -> None:
    whole = load_document((ROOT / "examples/digits.yaml").read_text())
    sections = SECTION.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert sections
    for section in sections:
        JobSpec.parse(whole | load_document(section))

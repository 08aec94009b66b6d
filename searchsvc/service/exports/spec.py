"""`spec`: a job spec in YAML that trains a trial's candidate again, with the same seed, data and fidelity."""

from __future__ import annotations

from pathlib import Path

import yaml

from searchsvc.service.exports.source import Source


def write(source: Source, path: Path) -> None:
    """Write the job's own spec with every value of the candidate fixed and a budget of 1 trial."""
    job, chosen = source.job, source.single_trial()
    document = job.spec.document()
    suffix = f"-trial-{chosen.number}"
    document["name"] = job.name[: 128 - len(suffix)] + suffix
    document["space"]["narrow"] = {}
    document["space"]["fix"] = {**document["space"]["fix"], **chosen.values}
    document["algorithm"] = {"name": "random"}
    document["stopping"] = {"name": "none"}
    document["budget"] = {"trials": 1}
    header = f"# Trains the candidate of trial {chosen.number} of job {job.name} ({job.id}) again.\n"
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(header + text, encoding="utf-8")

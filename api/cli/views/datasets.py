"""The check of a dataset: as a document, and as lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from api.cli.output import table
from api.cli.views.jobs import pairs
from searchsvc.service.documents.yaml_text import flow
from searchsvc.service.lookup.dataset_checks import DatasetCheck

_LISTED = 5
_CLASSES_LISTED = 40

Document = Mapping[str, Any]


def check_document(check: DatasetCheck) -> dict[str, Any]:
    """Return the check as a JSON document."""
    info, summary = check.info, check.summary
    return {
        "task": check.task,
        "dataset": dict(check.section),
        "also_fits": list(check.others),
        "classes": list(info.classes),
        "shape": list(info.shape),
        "sizes": dict(info.sizes),
        "counts": dict(info.counts),
        "counted": summary.counted,
        "class_counts": {split: dict(counts) for split, counts in summary.class_counts.items()},
        "images_looked_at": summary.looked_at,
        "image_sizes": dict(summary.image_sizes),
        "image_modes": dict(summary.image_modes),
        "notes": list(info.notes),
    }


def check_lines(document: Document) -> list[Table | Text | str]:
    """Return the lines of a check; those from `dataset:` on are a section to paste into a job."""
    shape, sizes = document["shape"], document["sizes"]
    section = document["dataset"]
    kind = section.get("format", section["name"])
    looked = document["images_looked_at"]
    sample = f"the headers of {looked:,} of {sum(sizes.values()):,} images"
    head = pairs(
        [
            ("read as", f"{kind}, by the task {document['task']}"),
            ("also fits", ", ".join(document["also_fits"]) or None),
            ("images", ", ".join(f"{number:,} {split}" for split, number in sizes.items())),
            ("classes", f"{len(document['classes']):,}"),
            ("enter as", f"{shape[2]}x{shape[1]} px, {shape[0]} channel{'s' if shape[0] > 1 else ''}"),
            ("sizes", _most(document["image_sizes"])),
            ("modes", _most(document["image_modes"]) or None),
            ("looked at", sample if looked < sum(sizes.values()) else None),
            ("counted", ", ".join(f"{n:,} {what.replace('_', ' ')}" for what, n in document["counts"].items()) or None),
            *(("noted", note) for note in document["notes"]),
            ("sheet", document["sheet"]),
        ]
    )
    return [head, "", _classes(document), *_left_out(document), "", *section_lines(section)]


def section_lines(section: Document) -> list[Text]:
    """Return the section as YAML that a job spec takes as it is. Texts: paths may hold what rich takes for markup."""
    values = [f"  {key}: {flow(value)}" for key, value in section.items() if value is not None]
    return [Text(line) for line in ("dataset:", *values)]


def _most(counts: Mapping[str, int]) -> str:
    named = ", ".join(f"{what} ({number:,})" for what, number in list(counts.items())[:_LISTED])
    rest = len(counts) - _LISTED
    return f"{named} and {rest:,} others" if rest > 0 else named


def _classes(document: Document) -> Table:
    splits = list(document["class_counts"])
    names = document["classes"][:_CLASSES_LISTED]
    rows = [(name, *(f"{document['class_counts'][split][name]:,}" for split in splits)) for name in names]
    columns = [f"{document['counted']} of {split}" for split in splits]
    return table(("class", *columns), rows, right=columns)


def _left_out(document: Document) -> list[str]:
    rest = len(document["classes"]) - _CLASSES_LISTED
    return [f"and {rest:,} other classes, which --json lists"] if rest > 0 else []

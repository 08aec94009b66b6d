"""Label files, reassessments and relabellings as tables and lines of text."""

from __future__ import annotations

from rich.table import Table

from api import text
from api.cli.output import table
from api.cli.views.jobs import Document, pairs


def statistics_lines(found: Document) -> list[Table | str]:
    """Totals, then how many images have so many labels."""
    lists, empty, labels = (found[name] for name in ("lists", "empty", "labels"))
    head = [
        ("lists", f"{lists:,}"),
        ("empty", f"{empty:,} ({_share(empty, lists)})"),
        ("labels", f"{labels:,} of {found['classes']:,} classes"),
        ("per image", f"{labels / max(1, lists):.3f}; of those with a label, {labels / max(1, lists - empty):.3f}"),
    ]
    rows = [(str(size), f"{count:,}", _share(count, lists)) for size, count in found["sizes"].items()]
    columns = ("labels of an image", "images", "share")
    return [pairs(head), "", table(columns, rows, right=columns)]


def reassessment_lines(found: Document) -> list[Table | str]:
    """The correlation of the rankings, then a row per trial."""
    rho = found["correlation"]
    head = [
        ("images", f"{found['images']:,}, of which {found['counted']:,} have a label in the file"),
        ("labels", f"{found['labels']:,}"),
        ("rank correlation", text.MISSING if rho is None else _interval(rho)),
    ]
    real = "real accuracy" if found["k"] == 1 else f"real accuracy, top {found['k']}"
    columns = ("rank", "was", "trial", real, "accuracy")
    rows = [
        (
            str(one["real_rank"]),
            str(one["rank"]),
            f"#{one['trial']}",
            *map(_interval, (one["real_accuracy"], one["accuracy"])),
        )
        for one in found["items"]
    ]
    return [pairs(head), "", table(columns, rows, right=columns)]


def relabelling_lines(found: Document) -> list[Table | str]:
    """What is asked, and who has answered."""
    head = [
        ("proposed by", ", ".join(f"#{one}" for one in found["trials"])),
        ("images", f"{found['images']:,}, of which {found['settled']:,} are settled: all agree with the label"),
        ("questions", f"{found['questions']:,}, of which nobody has answered {found['open']:,}"),
    ]
    if not found["raters"]:
        return [pairs(head)]
    rows = [(one["name"], f"{one['answered']:,}", f"{one['accuracy']:.3f}") for one in found["raters"]]
    return [pairs(head), "", table(("rater", "answers", "accuracy"), rows, right=("answers", "accuracy"))]


def _interval(one: Document) -> str:
    """`0.9721 (0.9610 to 0.9802)`."""
    return f"{one['value']:.4f} ({one['low']:.4f} to {one['high']:.4f})"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.2f} %"

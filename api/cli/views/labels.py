"""Label files, reassessments and relabellings as tables and lines of text."""

from __future__ import annotations

from rich.table import Table

from api import text
from api.cli.output import table
from api.cli.views.jobs import Document, pairs


def statistics_lines(counts: Document) -> list[Table | str]:
    """Return the totals, then the number of images for each number of labels."""
    lists, empty, labels = (counts[name] for name in ("lists", "empty", "labels"))
    head = [
        ("lists", f"{lists:,}"),
        ("empty", f"{empty:,} ({_share(empty, lists)})"),
        ("labels", f"{labels:,} of {counts['classes']:,} classes"),
        ("per image", f"{labels / max(1, lists):.3f}; of those with a label, {labels / max(1, lists - empty):.3f}"),
    ]
    rows = [(str(size), f"{count:,}", _share(count, lists)) for size, count in counts["sizes"].items()]
    columns = ("labels of an image", "images", "share")
    return [pairs(head), "", table(columns, rows, right=columns)]


def reassessment_lines(ranking: Document) -> list[Table | str]:
    """Return the correlation of the rankings, then a row per trial."""
    rho = ranking["correlation"]
    head = [
        ("images", f"{ranking['images']:,}, of which {ranking['counted']:,} have a label in the file"),
        ("labels", f"{ranking['labels']:,}"),
        ("rank correlation", text.MISSING if rho is None else _interval(rho)),
    ]
    real = "real accuracy" if ranking["k"] == 1 else f"real accuracy, top {ranking['k']}"
    columns = ("rank", "was", "trial", real, "accuracy")
    rows = [
        (
            str(one["real_rank"]),
            str(one["rank"]),
            f"#{one['trial']}",
            *map(_interval, (one["real_accuracy"], one["accuracy"])),
        )
        for one in ranking["items"]
    ]
    return [pairs(head), "", table(columns, rows, right=columns)]


def relabelling_lines(progress: Document) -> list[Table | str]:
    """Return the number of questions, and of the answers of each person."""
    head = [
        ("proposed by", ", ".join(f"#{one}" for one in progress["trials"])),
        ("images", f"{progress['images']:,}, of which {progress['settled']:,} are settled: all agree with the label"),
        ("questions", f"{progress['questions']:,}, of which nobody has answered {progress['open']:,}"),
    ]
    if not progress["raters"]:
        return [pairs(head)]
    rows = [(one["name"], f"{one['answered']:,}", f"{one['accuracy']:.3f}") for one in progress["raters"]]
    return [pairs(head), "", table(("rater", "answers", "accuracy"), rows, right=("answers", "accuracy"))]


def _interval(estimate: Document) -> str:
    """Return `0.9721 (0.9610 to 0.9802)`."""
    return f"{estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.2f} %"

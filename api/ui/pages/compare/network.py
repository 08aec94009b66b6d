"""The networks of several trials side by side: a row for each stage, with what differs from the first trial marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from api.ui.live.compare_view import CompareView
from api.ui.pages.compare.differences import Line, marked, side_by_side
from api.ui.pages.trial import network as trial_network
from api.ui.parts.widgets import Text, box
from searchsvc.errors import Conflict
from searchsvc.service.service import Service
from searchsvc.spaces.costs.stages import Row, Stage, aligned


@dataclass(frozen=True, slots=True)
class Networks:
    """Those that can be told, by the labels of their trials."""

    flops: dict[str, float]
    rows: list[Row]
    """Of those in `flops`, in that order."""
    untold: tuple[str, ...]
    """Why others cannot be."""


def read(service: Service, view: CompareView) -> Networks:
    """In a thread."""
    found, untold = {}, []
    for label, trial in zip(view.labels, view.comparison.trials, strict=True):
        try:
            found[label] = service.trials.architecture(trial.id)
        except Conflict as error:
            untold.append(f"{label}: {error}")
    rows = aligned([one.stages for one in found.values()])
    return Networks({label: one.flops for label, one in found.items()}, rows, tuple(untold))


def draw(found: Networks, *, everything: bool) -> None:
    """A stage that a trial lacks is told so."""
    for said in found.untold:
        Text("p", said, "muted small wrap")
    totals = list(found.flops.values())
    lines = [_line(row, totals) for row in found.rows]
    made = side_by_side("stage", list(found.flops), lines, everything=everything)
    if made is not None:
        made.classes("stage-differences")


@dataclass(frozen=True, slots=True)
class _Trait:
    """Something that is said of a stage."""

    words: Callable[[Stage], str]
    lacking: str = ""
    """What is said instead where only the first trial's stage has it; {} stands for what that one has."""


_FIRST = (
    _Trait(lambda one: f"{one.count} x" if one.count > 1 else "", "1 x"),
    _Trait(lambda one: one.block),
    _Trait(lambda one: f"({one.note})" if one.note else "", "not {}"),
)
_FURTHER = (
    _Trait(lambda one: f"{one.channels} channels"),
    _Trait(lambda one: f"{one.height} x {one.width} px"),
    _Trait(lambda one: f"stride {one.stride}" if one.kernel else "", "no stride"),
    _Trait(lambda one: f"kernel {one.kernel}" if one.kernel else "", "no kernel"),
    _Trait(lambda one: f"expansion {one.expansion:.3g}" if one.expansion else "", "no expansion"),
    _Trait(lambda one: "SE" if one.squeezes else "", "no SE"),
)
_LINES = ((_FIRST, " "), (_FURTHER, ", "))
"""What stands on one line, and what between."""


def _line(row: Row, totals: list[float]) -> Line:
    name = next(one.name for one in row if one is not None)
    differs = any(_differs(one, row[0]) for one in row)
    return Line(name, differs, [_cell(one, row[0], total) for one, total in zip(row, totals, strict=True)])


def _differs(stage: Stage | None, first: Stage | None) -> bool:
    if stage is None or first is None:
        return stage is not first
    return any(is_marked for traits, _ in _LINES for is_marked, _ in _said(traits, stage, first))


def _cell(stage: Stage | None, first: Stage | None, total: float) -> Callable[[], None]:
    def make() -> None:
        if stage is None:
            marked("absent", first is not None)
            return
        for traits, between in _LINES:
            _runs(list(_said(traits, stage, first)), between)
        trial_network.share(stage, total)

    return make


def _said(traits: tuple[_Trait, ...], stage: Stage, first: Stage | None) -> Iterator[tuple[bool, str]]:
    """(whether it is marked, the words)."""
    for trait in traits:
        words, before = trait.words(stage), trait.words(first) if first else ""
        if words != before:
            yield True, words or trait.lacking.format(before)
        elif words:
            yield False, words


def _runs(said: list[tuple[bool, str]], between: str) -> None:
    """Words of one kind, one after another, are one element."""
    with box("traits"):
        runs = [(is_marked, [words for _, words in run]) for is_marked, run in groupby(said, itemgetter(0))]
        for place, (is_marked, words) in enumerate(runs, start=1):
            marked(between.join(words) + (between.rstrip() if place < len(runs) else ""), is_marked)

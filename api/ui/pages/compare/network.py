"""The networks of several trials side by side: a row per stage, with differences from the first trial marked."""

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
    """Networks of several trials, by the labels of the trials."""

    flops: dict[str, float]
    rows: list[Row]
    """Stages of the networks in `flops`, in the same order."""
    unavailable: tuple[str, ...]
    """Reasons why networks of other trials are not available."""


def read(service: Service, view: CompareView) -> Networks:
    """Read the networks. Called in a thread."""
    architectures, unavailable = {}, []
    for label, trial in zip(view.labels, view.comparison.trials, strict=True):
        try:
            architectures[label] = service.trials.architecture(trial.id)
        except Conflict as error:
            unavailable.append(f"{label}: {error}")
    rows = aligned([one.stages for one in architectures.values()])
    return Networks({label: one.flops for label, one in architectures.items()}, rows, tuple(unavailable))


def draw(networks: Networks, *, everything: bool) -> None:
    """Show the networks; a stage that a trial lacks is shown as absent."""
    for reason in networks.unavailable:
        Text("p", reason, "muted small wrap")
    totals = list(networks.flops.values())
    lines = [_line(row, totals) for row in networks.rows]
    shown_table = side_by_side("stage", list(networks.flops), lines, everything=everything)
    if shown_table is not None:
        shown_table.classes("stage-differences")


@dataclass(frozen=True, slots=True)
class _Trait:
    """A property of a stage, in words."""

    words: Callable[[Stage], str]
    lacking: str = ""
    """Text if only the stage of the first trial has the property; {} stands for the words of that stage."""


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
"""Traits on each line of a cell, and their separator."""


def _line(row: Row, totals: list[float]) -> Line:
    name = next(one.name for one in row if one is not None)
    differs = any(_differs(one, row[0]) for one in row)
    return Line(name, differs, [_cell(one, row[0], total) for one, total in zip(row, totals, strict=True)])


def _differs(stage: Stage | None, first: Stage | None) -> bool:
    if stage is None or first is None:
        return stage is not first
    return any(is_marked for traits, _ in _LINES for is_marked, _ in _marked_words(traits, stage, first))


def _cell(stage: Stage | None, first: Stage | None, total: float) -> Callable[[], None]:
    def make() -> None:
        if stage is None:
            marked("absent", first is not None)
            return
        for traits, between in _LINES:
            _runs(list(_marked_words(traits, stage, first)), between)
        trial_network.share(stage, total)

    return make


def _marked_words(traits: tuple[_Trait, ...], stage: Stage, first: Stage | None) -> Iterator[tuple[bool, str]]:
    """Yield the words of each trait, and whether they are marked."""
    for trait in traits:
        words, before = trait.words(stage), trait.words(first) if first else ""
        if words != before:
            yield True, words or trait.lacking.format(before)
        elif words:
            yield False, words


def _runs(words_by_mark: list[tuple[bool, str]], between: str) -> None:
    """Show consecutive words with the same mark as a single element."""
    with box("traits"):
        runs = [(is_marked, [words for _, words in run]) for is_marked, run in groupby(words_by_mark, itemgetter(0))]
        for place, (is_marked, words) in enumerate(runs, start=1):
            marked(between.join(words) + (between.rstrip() if place < len(runs) else ""), is_marked)

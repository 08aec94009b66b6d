"""Gains from pre-training, self-training and stronger augmentation by amount of data: a report of a job.

The trials of a job are grouped in cells by the genes of `ASKED` that the job searches: trials of a cell agree in all of
them. Other variation within a cell (a `replicate`, another recipe, another architecture) widens its interval. Each cell
is compared with the cell that differs from it only in a gene with its plain value; a cell with both initial weights and
self-training is compared with three cells: without the first, without the second, and without both.

If every trial of two cells has its own `replicate`, and both cells have the same replicates, the two trials of a
replicate form a pair: they share their seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product
from typing import TypeAlias

from searchsvc.domain import Categorical, Job, Objective, Scalar, TrialState
from searchsvc.domain.trial_task import REPLICATE
from searchsvc.errors import Conflict
from searchsvc.service.results import intervals
from searchsvc.service.results.intervals import MeanEstimate
from searchsvc.spaces import Space
from searchsvc.spaces.recipe import DATA_FRACTION, INIT
from searchsvc.store import Store

COMPARED = ((INIT, "self_training"), ("augmentation",))
"""Groups of genes whose values are compared with their plain values, gene by gene and together."""
ASKED = (DATA_FRACTION, *(gene for group in COMPARED for gene in group))

Genes: TypeAlias = Mapping[str, Scalar]
Key: TypeAlias = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, slots=True)
class MeasuredTrial:
    """The genes and metrics of a trial that has SUCCEEDED."""

    values: Genes
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cell:
    """Trials that agree in all compared genes."""

    values: Genes
    trials: int
    mean: MeanEstimate
    """Mean of the objective."""


@dataclass(frozen=True, slots=True)
class Gain:
    """The gain of other values over the plain values, all else being equal."""

    changed: Genes
    plain: Cell
    """The cell with the plain values of the changed genes."""
    cell: Cell
    gain: MeanEstimate
    """The improvement of the objective: positive is better for both goals."""
    pairs: int
    """Number of pairs of trials with the same replicate; 0 if the cells were compared as a whole."""


@dataclass(frozen=True, slots=True)
class GainReport:
    """All gains that can be computed so far."""

    job: Job
    objective: Objective
    genes: tuple[str, ...]
    """The genes of `ASKED` that the job searches."""
    gains: tuple[Gain, ...]


def report(store: Store, job: Job, space: Space, defaults: Genes) -> GainReport:
    """Compute the gains of a job. `defaults`: the values of genes that a trial does not set itself.

    Raises Conflict if the job searches none of the compared genes.
    """
    genes = tuple(name for name in ASKED if name in space)
    if not {name for group in COMPARED for name in group} & set(genes):
        names = ", ".join(name for group in COMPARED for name in group)
        raise Conflict(f"job {job.name} has nothing to compare: none of {names} is in its space")
    objective = job.spec.objectives[0]
    finished = [
        MeasuredTrial(trial.values, trial.metrics)
        for trial in store.all_trials(job.id)
        if trial.state is TrialState.SUCCEEDED and trial.metrics
    ]
    plain = {name: _plain(space, name, defaults) for name in genes}
    return GainReport(job, objective, genes, compute_gains(finished, plain, defaults, objective))


def compute_gains(
    trials: Sequence[MeasuredTrial], plain: Genes, defaults: Genes, objective: Objective
) -> tuple[Gain, ...]:
    """Compute the gains over the plain values of genes. `defaults`: values of genes that a trial does not set."""
    return tuple(_gains(_cells(trials, tuple(plain), defaults), plain, objective))


def _plain(space: Space, name: str, defaults: Genes) -> Scalar:
    """Return the default if the space has it, or else the first choice or the smallest value."""
    parameter, default = space[name], defaults[name]
    if not isinstance(parameter, Categorical):
        return parameter.low
    return default if default in parameter.choices else parameter.choices[0]


def _cells(trials: Sequence[MeasuredTrial], genes: Sequence[str], defaults: Genes) -> dict[Key, list[MeasuredTrial]]:
    """Group trials by their values of `genes`, sorted by value."""
    cells: dict[Key, list[MeasuredTrial]] = {}
    for trial in trials:
        cells.setdefault(tuple((name, trial.values.get(name, defaults[name])) for name in genes), []).append(trial)
    return dict(sorted(cells.items(), key=lambda cell: [(str(type(value)), value) for _, value in cell[0]]))


def _gains(cells: Mapping[Key, Sequence[MeasuredTrial]], plain: Genes, objective: Objective) -> Iterator[Gain]:
    for group, (key, trials) in product(COMPARED, cells.items()):
        others = [(name, value) for name, value in key if name in group and value != plain[name]]
        for subset in chain.from_iterable(combinations(others, count) for count in range(1, len(others) + 1)):
            changed = dict(subset)
            plain_key = tuple((name, plain[name] if name in changed else value) for name, value in key)
            if plain_key in cells:
                yield _gain(changed, (plain_key, cells[plain_key]), (key, trials), objective)


def _gain(
    changed: Genes,
    plain: tuple[Key, Sequence[MeasuredTrial]],
    cell: tuple[Key, Sequence[MeasuredTrial]],
    objective: Objective,
) -> Gain:
    before, after = plain[1], cell[1]
    pairs = _pairs(before, after)
    compare = intervals.paired_difference if pairs else intervals.difference
    chosen = zip(*pairs, strict=True) if pairs else (before, after)
    gain = compare(*([objective.sign * value for value in _measured(trials, objective)] for trials in chosen))
    return Gain(changed, _cell(*plain, objective), _cell(*cell, objective), gain, len(pairs))


def _pairs(
    before: Sequence[MeasuredTrial], after: Sequence[MeasuredTrial]
) -> list[tuple[MeasuredTrial, MeasuredTrial]]:
    """Pair the trials of each replicate; no pairs if a trial has no replicate, shares it, or has no counterpart."""
    first, second = ({trial.values.get(REPLICATE): trial for trial in trials} for trials in (before, after))
    are_alone = len(first) == len(before) and len(second) == len(after)
    if None in first or first.keys() != second.keys() or not are_alone:
        return []
    return [(trial, second[replicate]) for replicate, trial in first.items()]


def _cell(key: Key, trials: Sequence[MeasuredTrial], objective: Objective) -> Cell:
    return Cell(dict(key), len(trials), intervals.mean(_measured(trials, objective)))


def _measured(trials: Sequence[MeasuredTrial], objective: Objective) -> list[float]:
    return [trial.metrics[objective.metric] for trial in trials]

"""Whether pre-training, self-training or stronger augmentation is worth it at an amount of data: a report of a job.

The genes of `ASKED` that a job searches make its cells: trials that are alike in all of them. Whatever else varies
within a cell (a `replicate`, another recipe, another architecture) is what its interval is about. Each cell is set
beside the one that differs from it only in that its gene has its plain value; with both first weights and self-training
beside three: without the one, without the other, and without both.

Where every trial of two cells has a `replicate` of its own, and both have the same, trials of one replicate are a pair:
they share their seed.
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
"""Genes whose values are set beside their plain ones; those of one group singly and together."""
ASKED = (DATA_FRACTION, *(gene for group in COMPARED for gene in group))

Genes: TypeAlias = Mapping[str, Scalar]
Key: TypeAlias = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, slots=True)
class MeasuredTrial:
    """A trial that has ended well."""

    values: Genes
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cell:
    """Trials that are alike in all that is asked about."""

    values: Genes
    trials: int
    mean: MeanEstimate
    """Of the objective."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What values other than the plain ones are worth, all else being equal."""

    changed: Genes
    plain: Cell
    """With the plain values of what was changed."""
    cell: Cell
    gain: MeanEstimate
    """By how much the objective is better, whichever direction is better."""
    pairs: int
    """Trials that were set beside one of the same replicate; 0: the cells were compared as wholes."""


@dataclass(frozen=True, slots=True)
class GainReport:
    """All that can be compared so far."""

    job: Job
    objective: Objective
    genes: tuple[str, ...]
    """Those of `ASKED` that the job searches."""
    gains: tuple[Gain, ...]


def report(store: Store, job: Job, space: Space, defaults: Genes) -> GainReport:
    """What the job's trials say. `space`: the job's; `defaults`: values of genes where a trial has none of its own.

    Raises Conflict where the job searches nothing that could be compared.
    """
    genes = tuple(name for name in ASKED if name in space)
    if not {name for group in COMPARED for name in group} & set(genes):
        names = ", ".join(name for group in COMPARED for name in group)
        raise Conflict(f"job {job.name} has nothing to compare: none of {names} is in its space")
    objective = job.spec.objectives[0]
    finished = [
        MeasuredTrial(one.values, one.metrics)
        for one in store.all_trials(job.id)
        if one.state is TrialState.SUCCEEDED and one.metrics
    ]
    plain = {name: _plain(space, name, defaults) for name in genes}
    return GainReport(job, objective, genes, found_in(finished, plain, defaults, objective))


def found_in(trials: Sequence[MeasuredTrial], plain: Genes, defaults: Genes, objective: Objective) -> tuple[Gain, ...]:
    """What trials say of the genes in `plain`, their plain values; `defaults`: of genes that a trial does not name."""
    return tuple(_gains(_cells(trials, tuple(plain), defaults), plain, objective))


def _plain(space: Space, name: str, defaults: Genes) -> Scalar:
    """The default where the space has it, else the first choice or the least value."""
    parameter, default = space[name], defaults[name]
    if not isinstance(parameter, Categorical):
        return parameter.low
    return default if default in parameter.choices else parameter.choices[0]


def _cells(trials: Sequence[MeasuredTrial], genes: Sequence[str], defaults: Genes) -> dict[Key, list[MeasuredTrial]]:
    """Sorted as `genes` are, by value."""
    found: dict[Key, list[MeasuredTrial]] = {}
    for trial in trials:
        found.setdefault(tuple((name, trial.values.get(name, defaults[name])) for name in genes), []).append(trial)
    return dict(sorted(found.items(), key=lambda one: [(str(type(value)), value) for _, value in one[0]]))


def _gains(cells: Mapping[Key, Sequence[MeasuredTrial]], plain: Genes, objective: Objective) -> Iterator[Gain]:
    for group, (key, trials) in product(COMPARED, cells.items()):
        others = [(name, value) for name, value in key if name in group and value != plain[name]]
        for some in chain.from_iterable(combinations(others, count) for count in range(1, len(others) + 1)):
            changed = dict(some)
            beside = tuple((name, plain[name] if name in changed else value) for name, value in key)
            if beside in cells:
                yield _gain(changed, (beside, cells[beside]), (key, trials), objective)


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
    found = compare(*([objective.sign * value for value in _measured(trials, objective)] for trials in chosen))
    return Gain(changed, _cell(*plain, objective), _cell(*cell, objective), found, len(pairs))


def _pairs(
    before: Sequence[MeasuredTrial], after: Sequence[MeasuredTrial]
) -> list[tuple[MeasuredTrial, MeasuredTrial]]:
    """Trials of the same replicate; none where one trial has no replicate, or shares it, or is left alone."""
    first, second = ({one.values.get(REPLICATE): one for one in trials} for trials in (before, after))
    are_alone = len(first) == len(before) and len(second) == len(after)
    if None in first or first.keys() != second.keys() or not are_alone:
        return []
    return [(one, second[number]) for number, one in first.items()]


def _cell(key: Key, trials: Sequence[MeasuredTrial], objective: Objective) -> Cell:
    return Cell(dict(key), len(trials), intervals.mean(_measured(trials, objective)))


def _measured(trials: Sequence[MeasuredTrial], objective: Objective) -> list[float]:
    return [one.metrics[objective.metric] for one in trials]

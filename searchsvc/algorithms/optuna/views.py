"""Views: selections of results for samplers.

Optuna's samplers go through all trials of a study at every ask, although samplers that work in generations use only the
last two, and a Gaussian process cannot be fitted to thousands. A view selects the results that matter. For samplers
that work in generations, these are exactly the results that they would have picked. Asks therefore do not slow down as
results accumulate.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from optuna.trial import FrozenTrial


class View(Protocol):
    """Stores results and selects the results that a sampler is shown."""

    def add(self, trial: FrozenTrial) -> None:
        """Store a result."""

    def shown(self, study_attributes: Mapping[str, Any]) -> list[FrozenTrial]:
        """The results that matter now, by number. `study_attributes`: attributes that samplers set on the study."""

    def mark(self, trial: FrozenTrial, study_attributes: Mapping[str, Any]) -> bool:
        """Set the attributes on a new trial that the sampler would set, without sampling its parameters.

        Return False if only the sampler can, because a generation begins.
        """


class AllResults:
    """All results, in the order in which they were told."""

    def __init__(self) -> None:
        self._results: list[FrozenTrial] = []

    def add(self, trial: FrozenTrial) -> None:
        trial.number = len(self._results)
        self._results.append(trial)

    def shown(self, study_attributes: Mapping[str, Any]) -> list[FrozenTrial]:  # noqa: ARG002 - the protocol names it
        return self._results

    def mark(self, trial: FrozenTrial, study_attributes: Mapping[str, Any]) -> bool:  # noqa: ARG002 - the protocol names them
        """Set nothing: samplers that see all results set no attributes."""
        return True


class Window(AllResults):
    """At most `size` results: the latest half and the best of the others."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def shown(self, study_attributes: Mapping[str, Any]) -> list[FrozenTrial]:
        results = super().shown(study_attributes)
        if len(results) <= self._size:
            return results
        latest = self._size - self._size // 2
        best = sorted(results[:-latest], key=_merit, reverse=True)[: self._size // 2]
        return sorted(best, key=_number) + results[-latest:]


class _Generations:
    """Results by generation, which the sampler sets when it is asked for them.

    A candidate that was never asked for has no generation, and the sampler cannot use it.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._by_generation: dict[int, list[FrozenTrial]] = {}

    def add(self, trial: FrozenTrial) -> None:
        if self._key in trial.system_attrs:
            insort(self._by_generation.setdefault(trial.system_attrs[self._key], []), trial, key=_number)

    def _of(self, generations: Iterable[int]) -> list[FrozenTrial]:
        return [trial for generation in generations for trial in self._by_generation.get(generation, ())]


class NsgaGenerations(_Generations):
    """For NSGA-II: the last two populations, and the parents that were chosen for them and for the next."""

    def __init__(self, population: int) -> None:
        super().__init__("NSGAIISampler:generation")
        self._population = population
        self._by_number: dict[int, FrozenTrial] = {}
        self._last = 0

    def add(self, trial: FrozenTrial) -> None:
        super().add(trial)
        self._by_number[trial.number] = trial
        self._last = max(self._last, trial.system_attrs.get(self._key, 0))

    def shown(self, study_attributes: Mapping[str, Any]) -> list[FrozenTrial]:
        last = self._last
        matter = {trial.number: trial for trial in self._of((last - 1, last))}
        for generation in (last - 1, last, last + 1):
            parents = study_attributes.get(f"NSGAIISampler:parent:{generation}", ())
            matter.update((number, self._by_number[number]) for number in parents)
        return sorted(matter.values(), key=_number)

    def mark(self, trial: FrozenTrial, study_attributes: Mapping[str, Any]) -> bool:
        is_full = len(self._by_generation.get(self._last, ())) >= self._population
        generation = self._last + 1 if is_full else self._last
        if generation and f"NSGAIISampler:parent:{generation}" not in study_attributes:
            return False  # the sampler chooses the parents of the generation
        trial.system_attrs[self._key] = generation
        return True


class CmaGenerations(_Generations):
    """For CMA-ES: the generation of the latest result that carries the optimiser's state, and the results that the
    sampler requires before it starts."""

    def __init__(self, startup_trials: int, population: int) -> None:
        super().__init__("cma:generation")
        self._startup_trials = startup_trials
        self._population = population
        self._first: list[FrozenTrial] = []
        self._carrier: FrozenTrial | None = None

    def add(self, trial: FrozenTrial) -> None:
        super().add(trial)
        if len(self._first) < self._startup_trials:
            self._first.append(trial)
        if "cma:optimizer:0" in trial.system_attrs and (self._carrier is None or trial.number > self._carrier.number):
            self._carrier = trial

    def shown(self, study_attributes: Mapping[str, Any]) -> list[FrozenTrial]:  # noqa: ARG002 - the protocol names it
        carrier = self._carrier
        generations = self._by_generation if carrier is None else [carrier.system_attrs[self._key]]
        matter = {trial.number: trial for trial in [*self._first, *self._of(generations)]}
        return sorted(matter.values(), key=_number)

    def mark(self, trial: FrozenTrial, study_attributes: Mapping[str, Any]) -> bool:  # noqa: ARG002 - the protocol names it
        if len(self._first) < self._startup_trials:
            return True  # drawn uniformly, without attributes
        generation = 0 if self._carrier is None else self._carrier.system_attrs[self._key]
        if len(self._by_generation.get(generation, ())) >= self._population:
            return False  # the optimiser learns from the generation
        trial.system_attrs[self._key] = generation
        return True


def _number(trial: FrozenTrial) -> int:
    return trial.number


def _merit(trial: FrozenTrial) -> tuple[float, float]:
    """Sort key, larger is better: feasible results first, then by the sum of the objectives."""
    violation = sum(max(0.0, slack) for slack in trial.constraints.values())
    return -violation, sum(trial.values or [])

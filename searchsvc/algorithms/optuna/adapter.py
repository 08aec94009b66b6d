"""TPE, GP, NSGA-II and CMA-ES by Optuna, behind ask and tell.

No sampler outlives an ask: each ask makes a new sampler, seeded from (seed, ask index), and shows it a study that is
rebuilt from the stored trials. Attributes that Optuna sets on trials (the generation of a candidate, the state of
CMA-ES) are stored with the trials.

| Observation | trial in the study |
|---|---|
| none yet | RUNNING, its parameters known (constant liar: TPE; fantasies: GP) |
| metrics | COMPLETE, outcome constraints as signed slacks |
| metrics, stopped early | TPE, one objective: PRUNED with the value and step reached; else COMPLETE with that value |
| failure | none: a failure only releases |

A sampler draws the parameters that it can model together. Each other parameter comes from its fallback, which is a
uniform draw for conditional parameters of GP and NSGA-II and for choices of CMA-ES.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from searchsvc.algorithms.base import Algorithm, Problem
from searchsvc.algorithms.optuna.space import OptunaDistributions, OptunaSpace, single_value
from searchsvc.algorithms.optuna.views import AllResults, View
from searchsvc.algorithms.pending import Pending
from searchsvc.algorithms.ranking import signed_values, slacks
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.parameters import Scalar
from searchsvc.errors import InvalidInput

_PENDING = 2**30  # numbers of pending trials: after those of all results
_WARM = -(2**30)  # numbers of results that were never asked for: before those of all asks


@dataclass(frozen=True, slots=True)
class SamplerTraits:
    """The differences between samplers."""

    sampler: Callable[[int], BaseSampler]
    """Creates a sampler from a seed."""
    suits: Callable[[BaseDistribution], bool]
    """True if the sampler can model a distribution."""
    models_conditions: bool
    """True if the sampler also models conditional parameters, group by group."""
    replays_by_asking: bool
    """True if trials carry state of the sampler, so that a replay must sample again."""
    prunes: bool = False
    """True if the sampler learns from PRUNED trials."""
    view: Callable[[], View] = AllResults
    """Creates the view that selects the results shown to the sampler."""
    context: Callable[[], AbstractContextManager[None]] = nullcontext
    """Creates a context in which the sampler runs."""


class OptunaAlgorithm(Algorithm):
    """An Optuna sampler as an Algorithm."""

    def __init__(self, problem: Problem, traits: SamplerTraits) -> None:
        super().__init__(problem)
        _quiet()
        self._traits = traits
        self.replays_by_asking = traits.replays_by_asking
        self._space = OptunaSpace(problem.space)
        self._results = traits.view()
        self._pending: Pending[FrozenTrial] = Pending()
        self._warm_results = 0
        """Results of candidates that were never asked for."""
        self._study_name = f"searchsvc-{problem.seed}"
        directions = [optuna.study.StudyDirection.MAXIMIZE] * len(problem.objectives)
        self._storage = _Storage(self._results, self._pending)
        self._study_id = self._storage.create_new_study(directions, self._study_name)
        self._relative = [
            self._space.searched(group.names, traits.suits) if traits.models_conditions or not group.when else {}
            for group in self._space.groups
        ]
        """Distributions that the sampler models together, for each group."""

    def tell(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            self._tell(observation)

    def resume(self, candidate: Candidate, asks: int) -> None:
        """Resume a candidate, with the attributes that the sampler would set on it."""
        if self._pending.reopen(asks):
            return
        super().resume(candidate, asks)
        trial = self._open(asks)
        needs_attributes = self._traits.replays_by_asking and any(self._relative)
        if needs_attributes and not self._results.mark(trial, self._study_attributes()):
            self._sample(trial, asks)
        trial.params = self._space.internal(candidate)
        self._pending.add(asks, candidate.key, trial)

    def _next(self, asks: int) -> Candidate:
        trial = self._open(asks)
        params = self._sample(trial, asks)
        candidate = Candidate({name: self._space.external(name, value) for name, value in params.items()})
        trial.params = self._space.internal(candidate)  # clipped as the candidate is
        self._pending.add(asks, candidate.key, trial)
        return candidate

    def _study_attributes(self) -> Mapping[str, Any]:
        return self._storage.get_study_system_attrs(self._study_id)

    def _open(self, asks: int) -> FrozenTrial:
        number = asks if self._traits.replays_by_asking else _PENDING + asks
        return _trial(number, TrialState.RUNNING, {}, self._space.distributions)

    def _sample(self, trial: FrozenTrial, asks: int) -> dict[str, float]:
        """Sample the parameters of ask number `asks` (from 1). The sampler sets its attributes on `trial`."""
        seed = int(np.random.SeedSequence([self._problem.seed, asks - 1]).generate_state(1)[0])
        sampler = self._traits.sampler(seed)
        self._storage.current = trial
        study = optuna.load_study(study_name=self._study_name, storage=self._storage, sampler=sampler)
        sampler.before_trial(study, trial)
        params: dict[str, float] = {}
        values: dict[str, Scalar] = {}
        # Samplers overflow or divide by zero once a search has converged, and handle it themselves.
        with self._traits.context(), np.errstate(all="ignore"):
            for group, distributions in zip(self._space.groups, self._relative, strict=True):
                if group.is_active(values):
                    drawn = self._sample_group(sampler, study, trial, group.names, distributions)
                    params.update(drawn)
                    values.update({name: self._space.external(name, value) for name, value in drawn.items()})
        return params

    def _sample_group(
        self,
        sampler: BaseSampler,
        study: Study,
        trial: FrozenTrial,
        names: Iterable[str],
        together: OptunaDistributions,
    ) -> dict[str, float]:
        drawn = dict(sampler.sample_relative(study, trial, together)) if together else {}
        for name in names:
            distribution = self._space.distributions[name]
            if distribution.single():
                drawn[name] = single_value(distribution)
            elif name not in drawn:
                drawn[name] = sampler.sample_independent(study, trial, name, distribution)
        return drawn

    def _tell(self, observation: Observation) -> None:
        key = observation.candidate.key
        values = signed_values(observation.metrics, self._problem.objectives)
        if values is None or observation.metrics is None:
            self._pending.release(key, observation.failure)
            return
        trial = self._finished(key)
        excesses = slacks(observation.metrics, self._problem.constraints)
        # A limit counts as exceeded if its metric was not measured.
        for index, slack in enumerate(excesses if excesses is not None else [1.0] * len(self._problem.constraints)):
            trial.system_attrs[f"constraints:{index}"] = slack
        trial.params = self._space.internal(observation.candidate)
        trial.distributions = self._space.distributions
        if observation.stopped and self._traits.prunes and len(values) == 1:
            trial.state = TrialState.PRUNED
            trial.intermediate_values = {observation.step: values[0]}
        else:
            trial.state = TrialState.COMPLETE
            trial.values = list(values)
        self._results.add(trial)

    def _finished(self, key: str) -> FrozenTrial:
        """The trial of the earliest pending ask of a candidate; a new trial if it was never asked for."""
        if (finished := self._pending.finish(key)) is not None:
            return finished[1]
        self._warm_results += 1
        return _trial(_WARM + self._warm_results, TrialState.RUNNING, {}, {})


def check_modelled(problem: Problem, name: str, suits: Callable[[BaseDistribution], bool], most: int) -> None:
    """Raise InvalidInput (pointer /name) if a sampler would model more than `most` parameters together."""
    space = OptunaSpace(problem.space)
    count = sum(len(space.searched(group.names, suits)) for group in space.groups if not group.when)
    if count > most:
        message = f"{name} models at most {most} parameters without conditions, and this space has {count:,}"
        raise InvalidInput.at("/name", f"{message}: use tpe, evolution or random, or fix some of them")


class _Storage(InMemoryStorage):
    """A study of results and pending candidates, which are not copied."""

    def __init__(self, results: View, pending: Pending[FrozenTrial]) -> None:
        super().__init__()
        self._results = results
        self._pending = pending
        self.current: FrozenTrial | None = None
        """The trial being sampled, on which samplers set attributes."""

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None  # noqa: ARG002 - inherited
    ) -> list[FrozenTrial]:
        trials = [*self._results.shown(self.get_study_system_attrs(study_id)), *self._pending]
        return trials if states is None else [trial for trial in trials if trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        assert self.current is not None
        assert trial_id == self.current._trial_id
        self.current.system_attrs[key] = value


def _trial(number: int, state: TrialState, params: dict[str, Any], distributions: OptunaDistributions) -> FrozenTrial:
    """Create a trial of a study; its id is its number."""
    return FrozenTrial(
        number=number,
        state=state,
        value=None,
        datetime_start=None,
        datetime_complete=None,
        params=params,
        distributions=distributions,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=number,
    )


def _quiet() -> None:
    """Silence a log line per study, and a warning per parameter that a sampler leaves to its fallback."""
    logging.getLogger("optuna").setLevel(logging.ERROR)

"""TPE, GP, NSGA-II and CMA-ES by Optuna, behind ask and tell.

Nothing of a sampler outlives an ask: each ask makes a new one, seeded from (seed, ask index), and shows it a study that
is rebuilt from what this module holds. What Optuna keeps in attributes of trials (the generation of a candidate, the
state of CMA-ES) is kept with the trials.

| Observation | trial in the study |
|---|---|
| not told yet | RUNNING, its parameters known (constant liar: TPE; fantasies: GP) |
| metrics | COMPLETE, outcome constraints as signed slacks |
| metrics, stopped early | TPE, one objective: PRUNED with the value and step reached; else COMPLETE with that value |
| failure | none: a failure only releases |

A sampler is asked for the parameters that it can model together; each of the others by its own fallback, which for
conditional parameters of GP and NSGA-II and choices of CMA-ES is a uniform draw.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
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

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.optuna.space import OptunaDistributions, OptunaSpace, single_value
from searchsvc.algorithms.optuna.views import Everything, View
from searchsvc.algorithms.ranking import signed_values, slacks
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.parameters import Scalar
from searchsvc.errors import FailureKind

_PENDING = 2**30  # numbers of pending trials: after those of all results
_WARM = -(2**30)  # numbers of results that were never asked for: before those of all asks


@dataclass(frozen=True, slots=True)
class SamplerTraits:
    """What tells the samplers apart."""

    sampler: Callable[[int], BaseSampler]
    """A sampler from a seed."""
    suits: Callable[[BaseDistribution], bool]
    """Which distributions it can model."""
    blocks: bool
    """Whether it models conditional parameters too, block by block; else only those without conditions."""
    by_asking: bool
    """Whether trials carry state of their own."""
    prunes: bool = False
    """Whether it knows what to make of PRUNED trials."""
    view: Callable[[], View] = Everything
    """Which results it is shown."""
    around: Callable[[], AbstractContextManager[None]] = nullcontext
    """What has to hold while it samples."""


class OptunaAlgorithm:
    """An Optuna sampler as an Algorithm."""

    def __init__(self, problem: Problem, traits: SamplerTraits) -> None:
        _quiet()
        self._problem = problem
        self._traits = traits
        self._space = OptunaSpace(problem.space)
        self._results = traits.view()
        self._pending = _Pending()
        self._study_name = f"searchsvc-{problem.seed}"
        directions = [optuna.study.StudyDirection.MAXIMIZE] * len(problem.objectives)
        self._storage = _Storage(self._results, self._pending)
        self._storage.create_new_study(directions, self._study_name)
        self._relative = [
            self._space.searched(block.names, traits.suits) if traits.blocks or not block.when else {}
            for block in self._space.blocks
        ]
        self._asks = 0
        self.replays_by_asking = traits.by_asking

    @property
    def seed(self) -> int:
        return self._problem.seed

    @property
    def asks(self) -> int:
        return self._asks

    def ask(self, count: int) -> list[Candidate]:
        return [self._ask() for _ in range(count)]

    def tell(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            self._tell(observation)

    def resume(self, candidate: Candidate, asks: int) -> None:
        """Pending without being sampled, but for what the sampler notes on the trial where `replays_by_asking`."""
        if self._pending.reopen(asks):
            return
        trial = self._open(asks)
        if self._traits.by_asking:
            self._sample(trial, asks)
        trial.params = self._space.internal(candidate)
        self._asks = max(self._asks, asks)
        self._pending.start(candidate.key, asks, trial)

    def _ask(self) -> Candidate:
        trial = self._open(self._asks + 1)
        params = self._sample(trial, self._asks + 1)
        candidate = Candidate({name: self._space.external(name, value) for name, value in params.items()})
        # As the space has it: what was clipped is clipped in the study too.
        trial.params = self._space.internal(candidate)
        self._asks += 1
        self._pending.start(candidate.key, self._asks, trial)
        return candidate

    def _open(self, asks: int) -> FrozenTrial:
        number = asks if self._traits.by_asking else _PENDING + asks
        return _trial(number, TrialState.RUNNING, {}, self._space.distributions)

    def _sample(self, trial: FrozenTrial, asks: int) -> dict[str, float]:
        """The parameters of what ask number `asks` (from 1) gives; the sampler's notes are left on the trial."""
        seed = int(np.random.SeedSequence([self._problem.seed, asks - 1]).generate_state(1)[0])
        sampler = self._traits.sampler(seed)
        self._storage.current = trial
        study = optuna.load_study(study_name=self._study_name, storage=self._storage, sampler=sampler)
        sampler.before_trial(study, trial)
        params: dict[str, float] = {}
        values: dict[str, Scalar] = {}
        # Samplers overflow or divide by zero where a search has converged, and mend it themselves.
        with self._traits.around(), np.errstate(all="ignore"):
            for block, distributions in zip(self._space.blocks, self._relative, strict=True):
                if block.is_active(values):
                    drawn = self._sample_block(sampler, study, trial, block.names, distributions)
                    params.update(drawn)
                    values.update({name: self._space.external(name, value) for name, value in drawn.items()})
        return params

    def _sample_block(
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
            self._pending.release(key, forget=observation.failure is FailureKind.INFEASIBLE)
            return
        trial = self._pending.finish(key)
        over = slacks(observation.metrics, self._problem.constraints)
        # A limit whose metric was not measured counts as overstepped.
        for index, slack in enumerate(over if over is not None else [1.0] * len(self._problem.constraints)):
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


class _Pending:
    """Candidates whose results are awaited, by ask number."""

    def __init__(self) -> None:
        self._asked: dict[int, tuple[str, FrozenTrial]] = {}
        self._failed: dict[int, tuple[str, FrozenTrial]] = {}
        self._never_asked = 0

    def __iter__(self) -> Iterator[FrozenTrial]:
        return (self._asked[asks][1] for asks in sorted(self._asked))

    def start(self, key: str, asks: int, trial: FrozenTrial) -> None:
        self._asked[asks] = key, trial

    def reopen(self, asks: int) -> bool:
        """Whether that ask had failed and is pending again."""
        if asks in self._failed:
            self._asked[asks] = self._failed.pop(asks)
            return True
        return False

    def release(self, key: str, *, forget: bool) -> None:
        """The latest ask of a candidate is let go; unless `forget`, it can be reopened."""
        asks = max(self._asks_of(key), default=None)
        if asks is not None:
            released = self._asked.pop(asks)
            if not forget:
                self._failed[asks] = released

    def finish(self, key: str) -> FrozenTrial:
        """The trial of the earliest pending ask of a candidate, taken out; a new one where it was never asked."""
        asks = min(self._asks_of(key), default=None)
        if asks is not None:
            return self._asked.pop(asks)[1]
        self._never_asked += 1
        return _trial(_WARM + self._never_asked, TrialState.RUNNING, {}, {})

    def _asks_of(self, key: str) -> Iterator[int]:
        return (asks for asks, (other, _) in self._asked.items() if other == key)


class _Storage(InMemoryStorage):
    """A study of results and pending candidates, without a copy of any."""

    def __init__(self, results: View, pending: _Pending) -> None:
        super().__init__()
        self._results = results
        self._pending = pending
        self.current: FrozenTrial | None = None
        """The trial being sampled: samplers note things on it."""

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
    """A trial of a study; its id is its number."""
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
    """No line per study, and no warning per parameter that a sampler leaves to its fallback."""
    logging.getLogger("optuna").setLevel(logging.ERROR)

"""Selection of the next candidate that may become a trial; see the diagram in `searchsvc.proposing.proposer`."""

from __future__ import annotations

import math

from searchsvc.algorithms.base import Algorithm
from searchsvc.algorithms.hard_constraints import HardConstraints
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.records import Proposal
from searchsvc.domain.states import TrialKind
from searchsvc.errors import FailureKind
from searchsvc.proposing.fallback import FallbackSampler
from searchsvc.proposing.rejections import Rejections
from searchsvc.proposing.suggester import Suggestion, suggester_for
from searchsvc.proposing.trials import ProposedTrials
from searchsvc.spaces.space import Space

MAX_REPEATS = 10
"""Repeated candidates in a row, after which a candidate that has not been seen is drawn uniformly."""


class CandidateSelector:
    """Takes suggestions until a candidate is new; draws a new candidate if the algorithm only repeats itself."""

    def __init__(
        self,
        algorithm: Algorithm,
        space: Space,
        constraints: HardConstraints,
        trials: ProposedTrials,
        *,
        repeats: bool,
        max_tries: int,
    ) -> None:
        self._algorithm = algorithm
        self._space = space
        self._constraints = constraints
        self._trials = trials
        self._repeats = repeats
        self._max_tries = max_tries
        self._has_list = algorithm.remaining() is not None
        self._suggester = suggester_for(algorithm, space, constraints, max_tries)
        self._fallback = FallbackSampler(space, constraints, algorithm.seed, trials.key)
        self.rejections = Rejections(constraints)
        """Candidates rejected since the last proposal."""
        self.answered: list[int] = []
        """Trials whose results answered a repeated candidate since the last proposal."""
        self.exhausted = False
        """True if every feasible candidate has been proposed."""

    def select(self) -> Suggestion | None:
        """Return the next candidate that may become a trial, pending in the algorithm.

        None if the space is exhausted or the algorithm waits for results. Raises NothingFeasible if too many candidates
        in a row broke a hard constraint.
        """
        repeats, max_repeats = 0, math.inf if self._has_list else MAX_REPEATS
        while repeats < max_repeats and not self._check_exhausted():
            suggestion = self._suggester.suggest(self.rejections)
            if suggestion is None and self.rejections.in_a_row < self._suggester.patience:
                return None
            if suggestion is None:
                break
            number = self._repeated_trial(suggestion)
            if number is None:
                return suggestion
            self._answer_repeat(suggestion.candidate, number)
            repeats += 1
            if repeats == 1 and self._fallback.is_exhausted(self._trials.seen):
                self.exhausted = True
        return None if self.exhausted else self._draw_uniformly()

    def record(self, proposal: Proposal, *, cancelled: bool = False) -> None:
        """Store a proposal as the next trial, and start new counts of rejections and answers."""
        self._trials.add(proposal, cancelled=cancelled)
        self.rejections = Rejections(self._constraints)
        self.answered = []

    def release(self, candidate: Candidate) -> None:
        """Release a pending candidate without a trace."""
        self._algorithm.tell([Observation(candidate, None, FailureKind.INFEASIBLE)])

    def forget_cancelled(self, number: int) -> None:
        """Make the candidate of a cancelled trial neither pending nor seen: it may be proposed again."""
        proposal = self._trials[number].proposal
        if proposal.kind is TrialKind.SUPERNET:
            if self._trials.is_latest_supernet(number):
                self._algorithm.tell([Observation(proposal.candidate, None)])
        elif self._trials.forget_candidate(number):
            self.exhausted = False
            self.release(proposal.candidate)

    def _check_exhausted(self) -> bool:
        all_seen = not self._repeats and len(self._trials.seen) >= self._fallback.space_size
        if all_seen or self._algorithm.remaining() == 0:
            self.exhausted = True
        return self.exhausted

    def _repeated_trial(self, suggestion: Suggestion) -> int | None:
        """The trial that the suggestion repeats. None if the suggestion may become a trial.

        A candidate that was stopped early may be trained again in full.
        """
        if self._repeats or suggestion.kind is TrialKind.SUPERNET:
            return None
        number = self._trials.latest_of(suggestion.candidate)
        if number is not None and suggestion.in_full and self._trials[number].was_stopped:
            return None
        return number

    def _answer_repeat(self, candidate: Candidate, number: int) -> None:
        """Answer a repeated candidate with the stored result of trial `number`, if the trial has a result.

        The ask of the repeat ends with that result. If there is no result, or if the candidates count as the same but
        differ in values, the ask is released instead.
        """
        observation = self._trials[number].observation
        if observation is None or observation.candidate != candidate:
            self.release(candidate)
        if observation is not None:
            self.answered.append(number)
            self._algorithm.tell([observation])

    def _draw_uniformly(self) -> Suggestion | None:
        """A uniform draw in place of the algorithm's next candidate, which counts as an ask.

        None if the space is exhausted.
        """
        seen = {} if self._repeats else self._trials.seen
        ask, tries = self._algorithm.asks, self._max_tries - self.rejections.in_a_row
        candidate = self._fallback.draw(ask, seen, self.rejections, tries)
        if candidate is None:
            self.exhausted = True
            return None
        self._algorithm.resume(candidate, ask + 1)
        return Suggestion(candidate, self._constraints.judge(self._space.to_matrix([candidate])).costs_of(0))

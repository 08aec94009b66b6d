"""Proposer: from what an algorithm asks for to what becomes a trial.

Every candidate of the algorithm passes here: those that break a hard constraint are rejected and counted, those that
have been proposed before are answered with the stored result, and the rest are proposals. The whole of it is rebuilt
from stored trials by `replay`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from searchsvc.algorithms.base import Algorithm, Listed, Shared, Staged
from searchsvc.algorithms.hard_constraints import HardConstraints, Rejections
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.metrics import Constraint, Measurement
from searchsvc.domain.records import Proposal, Trial
from searchsvc.domain.states import TrialKind, TrialState
from searchsvc.errors import FailureKind, NothingFeasible
from searchsvc.proposing.fallback import FallbackSampler
from searchsvc.proposing.suggester import Suggestion, suggester_for
from searchsvc.spaces.costs.model import NO_COSTS, CostModel
from searchsvc.spaces.space import Identity, Space

MAX_REPEATS = 10
"""Repeated candidates in a row, after which a candidate that was not seen yet is drawn uniformly."""


@dataclass(slots=True)
class _Entry:
    """A trial as the proposer knows it."""

    proposal: Proposal
    observation: Observation | None = None
    cancelled: bool = False


class Proposer:
    """Asks an algorithm for candidates within the hard constraints, each once unless `repeats`."""

    def __init__(
        self,
        algorithm: Algorithm,
        space: Space,
        *,
        cost_model: CostModel = NO_COSTS,
        hard: Sequence[Constraint] = (),
        identity: Identity | None = None,
        repeats: bool = False,
        max_tries: int = 10_000,
    ) -> None:
        """`identity` tells candidates apart; without it, those of different values are different.

        `max_tries`: candidates in a row that may break a hard constraint before NothingFeasible is raised.
        """
        self._algorithm = algorithm
        self._constraints = HardConstraints(cost_model, tuple(hard))
        self._suggester = suggester_for(algorithm, space, self._constraints, max_tries)
        self._fallback = FallbackSampler(space, self._constraints, algorithm.seed, self._key)
        self._space, self._identity = space, identity
        self._repeats = repeats
        self._max_tries = max_tries
        self._max_repeats = math.inf if isinstance(algorithm, Listed) else MAX_REPEATS
        self._entries: list[_Entry] = []
        self._seen: dict[Hashable, int] = {}
        self._supernet: int | None = None
        """The last trial of a supernet."""
        self._rejections = Rejections()
        self._told = 0
        self._exhausted = False
        self.diverged_at: int | None = None
        """The first trial that a replayed algorithm would not have proposed; None where it proposed all of them."""

    @property
    def next_number(self) -> int:
        """The number of the next trial."""
        return len(self._entries)

    @property
    def exhausted(self) -> bool:
        """Whether every feasible candidate has been proposed, so that nothing more will come."""
        return self._exhausted

    @property
    def learns_from_histories(self) -> bool:
        """Whether `replay` needs what was measured step by step."""
        return isinstance(self._algorithm, Staged | Shared)

    def propose(self, count: int, *, existing: int | None = None, budget: int | None = None) -> list[Proposal]:
        """Up to `count` proposals, numbered from `next_number`.

        `budget`: trials that the job may have; `existing` of them are there, or as many as have been proposed.
        Fewer: the space is exhausted, or the algorithm waits for results. Raises NothingFeasible where `max_tries`
        candidates in a row broke a hard constraint; nothing is lost by calling again.
        """
        proposals: list[Proposal] = []
        existing = self.next_number if existing is None else existing
        while len(proposals) < count:
            if budget is not None and isinstance(self._algorithm, Staged):
                self._algorithm.plan(existing + len(proposals), budget)
            if (asked := self._next()) is None:
                break
            proposal = Proposal(
                candidate=asked.candidate,
                asks=self._algorithm.asks,
                told=self._told,
                rejected=dict(self._rejections.rejected),
                answered=tuple(self._rejections.answered),
                costs=asked.costs,
                in_full=asked.in_full,
                kind=asked.kind,
            )
            self._record(proposal)
            proposals.append(proposal)
        return proposals

    def tell(self, number: int, observation: Observation) -> int:
        """Tell the algorithm how trial `number` ended. The place of this result in the order of all that were told."""
        if self._entries[number].observation is not None:
            self.reopen(number)
        self._entries[number].observation = observation
        self._algorithm.tell([observation])
        self._told += 1
        return self._told - 1

    def reopen(self, number: int) -> None:
        """Trial `number`, told as failed, is tried again: it is pending until it is told anew."""
        entry = self._entries[number]
        entry.observation = None
        self._algorithm.resume(entry.proposal.candidate, entry.proposal.asks)

    def take_rounds(self) -> list[tuple[int, Mapping[str, Any]]]:
        """(number, what to keep) of the algorithm's rounds that ended since the last call, some perhaps again."""
        return self._algorithm.take_rounds() if isinstance(self._algorithm, Staged) else []

    # ---- one candidate ---------------------------------------------------------------------------------------------

    def _next(self) -> Suggestion | None:
        """The next candidate that may become a trial, pending in the algorithm; None where there is none now."""
        repeated = 0
        while repeated < self._max_repeats and not self._out_of_candidates():
            asked = self._suggester.next(self._rejections)
            if asked is None:
                if self._rejections.tries < self._suggester.patience:
                    return None
                break
            number = None if self._is_new(asked) else self._seen.get(self._key(asked.candidate))
            if number is None or (asked.in_full and self._was_stopped(number)):
                return asked
            self._answer(number, asked.candidate)
            repeated += 1
            if repeated == 1 and self._fallback.none_left(self._seen):
                self._exhausted = True
        return None if self._exhausted else self._fall_back()

    def _is_new(self, asked: Suggestion) -> bool:
        """Whatever was proposed before."""
        return self._repeats or asked.kind is TrialKind.SUPERNET

    def _out_of_candidates(self) -> bool:
        all_seen = not self._repeats and len(self._seen) >= self._fallback.size
        if all_seen or (isinstance(self._algorithm, Listed) and not self._algorithm.left()):
            self._exhausted = True
        return self._exhausted

    def _was_stopped(self, number: int) -> bool:
        observation = self._entries[number].observation
        return observation is not None and observation.stopped

    def _answer(self, number: int, candidate: Candidate) -> None:
        """Give the algorithm the stored result of trial `number` for a candidate that is the same, and lets that go."""
        observation = self._entries[number].observation
        if observation is None or observation.candidate != candidate:
            self._release(candidate)
        if observation is not None:
            self._rejections.answered.append(number)
            self._algorithm.tell([observation])

    def _key(self, candidate: Candidate) -> Hashable:
        """Equal for candidates that count as the same."""
        if self._identity is None:
            return candidate.key
        return self._identity(self._space.to_matrix([candidate])).tobytes()

    def _fall_back(self) -> Suggestion | None:
        """A uniform draw in the algorithm's stead, counted as one ask more."""
        seen = {} if self._repeats else self._seen
        ask = self._algorithm.asks
        candidate = self._fallback.draw(ask, seen, self._rejections, self._max_tries - self._rejections.tries)
        if candidate is None:
            self._exhausted = True
            return None
        self._algorithm.resume(candidate, ask + 1)
        return Suggestion(candidate, self._constraints.judge(self._space.to_matrix([candidate])).costs_of(0))

    def _release(self, candidate: Candidate) -> None:
        self._algorithm.tell([Observation(candidate, None, FailureKind.INFEASIBLE)])

    def _record(self, proposal: Proposal) -> None:
        if proposal.kind is TrialKind.SUPERNET:
            self._supernet = len(self._entries)
        else:
            self._seen[self._key(proposal.candidate)] = len(self._entries)
        self._entries.append(_Entry(proposal))
        self._rejections = Rejections()

    # ---- from the store --------------------------------------------------------------------------------------------

    def replay(
        self, trials: Sequence[Trial], histories: Mapping[int, tuple[Measurement, ...]] = MappingProxyType({})
    ) -> None:
        """Bring a fresh proposer to where it was when the last of `trials` (all of a job, by number) was stored.

        `histories`: the measurements of each trial by its number, where the algorithm learns from them.
        Asks and results are interleaved as they were. An algorithm that replays by asking and proposes something else
        than what is stored (another version of a library, say) is given the stored candidates: see `diverged_at`.
        """
        assert not self._entries, "replay needs a fresh proposer"
        results = sorted((t for t in trials if t.told is not None), key=lambda t: t.told or 0)
        position = 0
        for trial in trials:
            while position < len(results) and (results[position].told or 0) < trial.proposal.told:
                self._retell(results[position], histories)
                position += 1
            self._told = max(self._told, trial.proposal.told)
            self._restore(trial)
        for trial in results[position:]:
            self._retell(trial, histories)
        for trial in trials:
            if trial.state is TrialState.CANCELLED and trial.told is None:
                self._forget(trial.number)

    def _retell(self, trial: Trial, histories: Mapping[int, tuple[Measurement, ...]]) -> None:
        assert trial.told is not None
        self._told = trial.told
        self.tell(trial.number, trial.observation(histories.get(trial.number, ())))

    def _restore(self, trial: Trial) -> None:
        """Take up one stored trial as the next that was proposed."""
        stored = trial.proposal
        if not self._algorithm.replays_by_asking or self.diverged_at is not None:
            for number in stored.answered:
                observation = self._entries[number].observation
                if observation is not None:
                    self._algorithm.tell([observation])
            self._algorithm.resume(stored.candidate, stored.asks)
        elif not self._asks_again(trial):
            self.diverged_at = trial.number
            self._exhausted = False
            self._algorithm.resume(stored.candidate, stored.asks)
        self._record(stored)
        self._entries[-1].cancelled = trial.state is TrialState.CANCELLED

    def _asks_again(self, trial: Trial) -> bool:
        """Whether the algorithm, asked again, gives what is stored; if not, what it gave instead is let go."""
        stored = trial.proposal
        before = self._seen.get(self._key(stored.candidate))
        if before is not None and self._entries[before].cancelled:
            self._forget(before)
        try:
            asked = self._next()
        except NothingFeasible:
            return False
        if asked is not None and (asked.candidate, self._algorithm.asks) == (stored.candidate, stored.asks):
            return True
        if asked is not None:
            self._release(asked.candidate)
        return False

    def _forget(self, number: int) -> None:
        """A cancelled trial's candidate is neither pending nor seen: it may be proposed again."""
        candidate, kind = self._entries[number].proposal.candidate, self._entries[number].proposal.kind
        if kind is TrialKind.SUPERNET:
            if self._supernet == number:
                self._algorithm.tell([Observation(candidate, None)])
            return
        key = self._key(candidate)
        if self._seen.get(key) == number:
            del self._seen[key]
            self._exhausted = False
            self._release(candidate)

"""Proposer: from an algorithm to the proposals that become trials.

::

    Algorithm ── ask ──> Suggester ── feasible ──> CandidateSelector ── new ──> Proposer ──> Proposal
        ▲                    │                         │      ▲                    │
        │                infeasible                 repeated  │ uniform draw     record
        │                    ▼                         │   FallbackSampler         ▼
        │<── released ── Rejections                    │                     ProposedTrials
        │<── stored result of the same candidate ──────┘                           │
        │<── results of trials ── Proposer.tell ───────────────────────────────────┘

`Suggester` rejects candidates that break a hard constraint. `CandidateSelector` answers candidates that were proposed
before with their stored results, and draws a new candidate uniformly if an algorithm keeps repeating itself or breaking
constraints. `Replay` rebuilds all of it from stored trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from searchsvc.algorithms.base import Algorithm
from searchsvc.algorithms.hard_constraints import HardConstraints
from searchsvc.domain.candidates import Observation
from searchsvc.domain.metrics import Constraint, Measurement
from searchsvc.domain.records import Proposal, Trial
from searchsvc.proposing.replay import Replay
from searchsvc.proposing.selection import CandidateSelector
from searchsvc.proposing.trials import ProposedTrials
from searchsvc.spaces.costs.model import NO_COSTS, CostModel
from searchsvc.spaces.space import Identity, Space


class Proposer:
    """Asks an algorithm for candidates within the hard constraints; each candidate is proposed once, unless `repeats`.
    """

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
        """`identity` tells candidates apart; without it, candidates of different values are different.

        `max_tries`: candidates in a row that may break a hard constraint before NothingFeasible is raised.
        """
        self._algorithm = algorithm
        self._trials = ProposedTrials(space, identity)
        constraints = HardConstraints(cost_model, tuple(hard))
        self._selector = CandidateSelector(
            algorithm, space, constraints, self._trials, repeats=repeats, max_tries=max_tries
        )
        self.diverged_at: int | None = None
        """The first trial that a replayed algorithm would not have proposed; None if it proposed all of them."""

    @property
    def next_number(self) -> int:
        """The number of the next trial."""
        return len(self._trials)

    @property
    def told(self) -> int:
        """Number of results told so far: the place of the next result."""
        return self._trials.told

    @property
    def exhausted(self) -> bool:
        """True if every feasible candidate has been proposed. No proposal will follow."""
        return self._selector.exhausted

    @property
    def learns_from_histories(self) -> bool:
        """True if `replay` needs the measurements of each step."""
        return self._algorithm.learns_from_histories

    def propose(self, count: int, *, existing: int | None = None, budget: int | None = None) -> list[Proposal]:
        """Return up to `count` proposals, numbered from `next_number`.

        `budget`: trials that the job may have, of which it has `existing` (default: as many as have been proposed).
        Returns fewer than `count` if the space is exhausted or the algorithm waits for results. Raises NothingFeasible
        if `max_tries` candidates in a row broke a hard constraint; nothing is lost by calling again.
        """
        proposals: list[Proposal] = []
        existing = self.next_number if existing is None else existing
        while len(proposals) < count:
            if budget is not None:
                self._algorithm.plan(existing + len(proposals), budget)
            if (suggestion := self._selector.select()) is None:
                break
            proposal = Proposal(
                candidate=suggestion.candidate,
                asks=self._algorithm.asks,
                told=self._trials.told,
                rejected=dict(self._selector.rejections.by_constraint),
                answered=tuple(self._selector.answered),
                costs=suggestion.costs,
                in_full=suggestion.in_full,
                kind=suggestion.kind,
            )
            self._selector.record(proposal)
            proposals.append(proposal)
        return proposals

    def tell(self, number: int, observation: Observation) -> int:
        """Tell the algorithm the outcome of trial `number`. Return its place in the order of all results told."""
        trial = self._trials[number]
        if trial.observation is not None:
            self.reopen(number)
        trial.observation = observation
        self._algorithm.tell([observation])
        self._trials.told += 1
        return self._trials.told - 1

    def reopen(self, number: int) -> None:
        """Try failed trial `number` again: it is pending until its next outcome is told."""
        trial = self._trials[number]
        trial.observation = None
        self._algorithm.resume(trial.proposal.candidate, trial.proposal.asks)

    def take_rounds(self) -> list[tuple[int, Mapping[str, Any]]]:
        """(number, report) of the algorithm's rounds that ended since the last call; a replay may repeat some."""
        return self._algorithm.take_rounds()

    def replay(
        self, trials: Sequence[Trial], histories: Mapping[int, tuple[Measurement, ...]] = MappingProxyType({})
    ) -> None:
        """Bring a fresh proposer to the state in which the last of `trials` (all of a job, by number) was stored.

        `histories`: the measurements of each trial by its number, for an algorithm that learns from them. If an
        algorithm that replays by asking now proposes another candidate, it resumes the stored candidates: see
        `diverged_at`.
        """
        assert not self._trials, "replay needs a fresh proposer"
        replay = Replay(self._algorithm, self._trials, self._selector, self.tell, histories)
        replay.run(trials)
        self.diverged_at = replay.diverged_at

"""The proposed trials, and their candidates."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.records import Proposal
from searchsvc.domain.states import TrialKind
from searchsvc.spaces.space import Identity, Space


@dataclass(slots=True)
class ProposedTrial:
    """A proposal and its outcome."""

    proposal: Proposal
    cancelled: bool = False
    observation: Observation | None = None
    """None until the trial has ended, and again while it is retried."""

    @property
    def was_stopped(self) -> bool:
        """True if a stopping rule ended the trial."""
        return self.observation is not None and self.observation.stopped


class ProposedTrials:
    """Trials by number, in the order of their proposals."""

    def __init__(self, space: Space, identity: Identity | None) -> None:
        """`identity` tells candidates apart; without it, candidates of different values are different."""
        self._space = space
        self._identity = identity
        self._trials: list[ProposedTrial] = []
        self._seen: dict[Hashable, int] = {}
        self._supernet: int | None = None
        self.told = 0
        """Results told to the algorithm so far."""

    def __len__(self) -> int:
        return len(self._trials)

    def __getitem__(self, number: int) -> ProposedTrial:
        return self._trials[number]

    @property
    def seen(self) -> Mapping[Hashable, int]:
        """Keys of proposed candidates -> the number of the latest trial."""
        return self._seen

    @property
    def tells_by_values(self) -> bool:
        """True if candidates of different values always count as different."""
        return self._identity is None

    def key(self, candidate: Candidate) -> Hashable:
        """The key of a candidate: equal for candidates that count as the same."""
        if self._identity is None:
            return candidate.key
        return self._identity(self._space.to_matrix([candidate])).tobytes()

    def latest_of(self, candidate: Candidate) -> int | None:
        """The number of the latest trial of a candidate; None if it is new."""
        return self._seen.get(self.key(candidate))

    def add(self, proposal: Proposal, *, cancelled: bool) -> None:
        """Store a proposal under the next number."""
        if proposal.kind is TrialKind.SUPERNET:
            self._supernet = len(self._trials)
        else:
            self._seen[self.key(proposal.candidate)] = len(self._trials)
        self._trials.append(ProposedTrial(proposal, cancelled))

    def is_latest_supernet(self, number: int) -> bool:
        """True if trial `number` is the latest proposed supernet."""
        return self._supernet == number

    def forget_candidate(self, number: int) -> bool:
        """Count the candidate of a trial as new. Return False if a later trial has the same candidate."""
        key = self.key(self._trials[number].proposal.candidate)
        if self._seen.get(key) != number:
            return False
        del self._seen[key]
        return True

"""Replay: rebuild a search from its stored trials.

Every stored proposal has the number of asks and of results told that preceded it, and every result has its place in the
order of telling. Asks and results are therefore repeated in their original order:

- An algorithm whose state holds no more than results, pending candidates and asks resumes the stored candidates.
- An algorithm that replays by asking needs attributes of each ask. It resumes stored candidates as well if a proposal
  explains all asks before it. Otherwise, and for a sample of the other proposals, it is asked again. If it now proposes
  another candidate (for example, because a library was updated), the replay has diverged: from that trial on, stored
  candidates are resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from searchsvc.algorithms.base import Algorithm
from searchsvc.domain.candidates import Observation
from searchsvc.domain.metrics import Measurement
from searchsvc.domain.records import Proposal, Trial
from searchsvc.domain.states import TrialState
from searchsvc.errors import NothingFeasible
from searchsvc.proposing.selection import CandidateSelector
from searchsvc.proposing.trials import ProposedTrials

_CHECKED_FIRST = 64
"""An algorithm that replays by asking is asked again for this many trials, so that divergence is noticed."""
_CHECKED_EVERY = 64
"""After the first trials, it is asked again for one of so many."""


class Replay:
    """Brings a fresh algorithm to the state in which the last stored trial left it."""

    def __init__(
        self,
        algorithm: Algorithm,
        trials: ProposedTrials,
        selector: CandidateSelector,
        tell: Callable[[int, Observation], int],
        histories: Mapping[int, tuple[Measurement, ...]],
    ) -> None:
        """`tell`: takes a trial's number and its observation; `histories`: measurements by the number of the trial."""
        self._algorithm = algorithm
        self._trials = trials
        self._selector = selector
        self._tell = tell
        self._histories = histories
        self.diverged_at: int | None = None
        """The first trial that the algorithm would not have proposed; None if it proposed all of them."""

    def run(self, stored: Sequence[Trial]) -> None:
        """Repeat asks and results of `stored` (all trials of a job, by number)."""
        results = sorted((trial for trial in stored if trial.told is not None), key=lambda trial: trial.told or 0)
        position = 0
        for trial in stored:
            while position < len(results) and (results[position].told or 0) < trial.proposal.told:
                self._tell_again(results[position])
                position += 1
            self._trials.told = max(self._trials.told, trial.proposal.told)
            self._propose_again(trial)
        for trial in results[position:]:
            self._tell_again(trial)
        for trial in stored:
            if trial.state is TrialState.CANCELLED and trial.told is None:
                self._selector.forget_cancelled(trial.number)

    def _tell_again(self, trial: Trial) -> None:
        assert trial.told is not None
        self._trials.told = trial.told
        self._tell(trial.number, trial.observation(self._histories.get(trial.number, ())))

    def _propose_again(self, trial: Trial) -> None:
        """Propose a stored trial again, as the next trial."""
        proposal = trial.proposal
        if not self._algorithm.replays_by_asking or self.diverged_at is not None:
            self._answer_again(proposal)
            self._algorithm.resume(proposal.candidate, proposal.asks)
        elif not self._is_checked(trial) and self._explains_asks(proposal):
            self._forget_cancelled(proposal)
            self._resume_asks(proposal)
        elif not self._asks_again(proposal):
            self.diverged_at = trial.number
            self._selector.exhausted = False
            self._algorithm.resume(proposal.candidate, proposal.asks)
        self._selector.record(proposal, cancelled=trial.state is TrialState.CANCELLED)

    def _answer_again(self, proposal: Proposal) -> None:
        """Tell the results that answered repeated candidates before the proposal."""
        for number in proposal.answered:
            if (observation := self._trials[number].observation) is not None:
                self._algorithm.tell([observation])

    def _is_checked(self, trial: Trial) -> bool:
        return trial.number < _CHECKED_FIRST or trial.number % _CHECKED_EVERY == 0

    def _explains_asks(self, proposal: Proposal) -> bool:
        """True if each ask since the last proposal was released without a trace or has a stored candidate."""
        asks = proposal.asks - self._algorithm.asks
        return asks > 0 and (
            not proposal.answered or (self._trials.tells_by_values and asks == len(proposal.answered) + 1)
        )

    def _resume_asks(self, proposal: Proposal) -> None:
        """Resume the candidates of repeats that stored results answered, then the candidate of the proposal."""
        for number in proposal.answered:
            candidate = self._trials[number].proposal.candidate
            self._algorithm.resume(candidate, self._algorithm.asks + 1)
            if (observation := self._trials[number].observation) is not None:
                self._algorithm.tell([observation])
            else:  # the trial had failed, and was tried again later
                self._selector.release(candidate)
        self._algorithm.resume(proposal.candidate, proposal.asks)

    def _forget_cancelled(self, proposal: Proposal) -> None:
        """Release the earlier ask of a candidate whose trial was cancelled, which is proposed again."""
        earlier = self._trials.latest_of(proposal.candidate)
        if earlier is not None and self._trials[earlier].cancelled:
            self._selector.forget_cancelled(earlier)

    def _asks_again(self, proposal: Proposal) -> bool:
        """Ask the algorithm again. Return whether it proposes the stored candidate; if not, release its proposal."""
        self._forget_cancelled(proposal)
        try:
            suggestion = self._selector.select()
        except NothingFeasible:
            return False
        if suggestion is None:
            return False
        if (suggestion.candidate, self._algorithm.asks) == (proposal.candidate, proposal.asks):
            return True
        self._selector.release(suggestion.candidate)
        return False

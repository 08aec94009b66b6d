"""The winners of a search, and the reason why a job has no result."""

from __future__ import annotations

from dataclasses import replace

import pytest

from searchsvc.domain import Candidate, FailureKind, Objective, Proposal, Trial, TrialKind, TrialState
from tests.contract.test_algorithms_replay import stored
from workers.driver.winners import why_failed, winners

SUPERNET = Proposal(Candidate({}), asks=1, told=0, kind=TrialKind.SUPERNET)
CANDIDATE = Proposal(Candidate({"lr": 0.1}), asks=2, told=1)
ACCURACY = Objective(metric="accuracy")


def ended(number: int, proposal: Proposal, state: TrialState, **changes: object) -> Trial:
    return replace(stored(number, proposal), state=state, **changes)  # type: ignore[arg-type]


def test_a_supernet_is_no_result_and_wins_nothing_whatever_it_measured() -> None:
    supernet = ended(0, SUPERNET, TrialState.SUCCEEDED, metrics={"accuracy": 0.99, "reward": 0.9})
    trained = ended(1, CANDIDATE, TrialState.SUCCEEDED, metrics={"accuracy": 0.5})
    assert not supernet.is_search_result
    assert winners([supernet, trained], [ACCURACY], []) == [trained]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (TrialState.STOPPED, "the time was up before the supernet had named candidates to train"),
        (TrialState.SUCCEEDED, "the supernet named no candidate to train: none that it drew kept the hard constraints"),
    ],
)
def test_a_job_whose_supernet_named_nothing_says_so(state: TrialState, said: str) -> None:
    assert why_failed([ended(0, SUPERNET, state)]) == said


def test_a_job_whose_supernet_or_finalists_failed_says_why() -> None:
    failed = ended(0, SUPERNET, TrialState.FAILED, failure=FailureKind.ERROR, reason="no memory")
    assert why_failed([failed]) == "no trial succeeded: 1 ERROR; most often: no memory"
    diverged = ended(1, CANDIDATE, TrialState.FAILED, failure=FailureKind.DIVERGED)
    assert why_failed([ended(0, SUPERNET, TrialState.SUCCEEDED), diverged]) == "no trial succeeded: 1 DIVERGED"
    assert why_failed([]) == "no trial could be proposed"

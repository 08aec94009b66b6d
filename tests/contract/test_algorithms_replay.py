"""A search that is interrupted anywhere and rebuilt from its stored trials makes the same proposals.

`Search` stands for a driver and its store: several trials run at once, results come in any order, some trials fail, are
stopped early, are cancelled or tried again. Its history is a list of Trial records; a rebuilt search has nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from searchsvc.algorithms import ALGORITHMS, create
from searchsvc.domain import (
    Candidate,
    Constraint,
    FailureKind,
    Objective,
    Observation,
    Proposal,
    Scalar,
    Trial,
    TrialState,
)
from searchsvc.proposing import replay
from searchsvc.proposing.proposer import Proposer
from searchsvc.spaces import Categorical, Float, Integer, Matrix, Space
from searchsvc.spaces.costs.model import CostModel
from tests.support.work import calls

OPTIONS: dict[str, Mapping[str, Any]] = {
    **{name: entry.options.example for name, entry in ALGORITHMS.items() if not entry.shares_weights},
    "evolution": {"population": 5, "tournament": 2},
    "gp": {"startup_trials": 6, "window": 8},
    "nsga2": {"population": 4},
}
TRIALS = {"gp": 10, "fbnetv3": 12}
SPACES = {
    "flat": Space([Float("x", -1.0, 1.0), Float("y", 1e-3, 1.0, log=True), Integer("z", 1, 30)]),
    "conditional": Space(
        [
            Categorical("a", ("p", "q", "r")),
            Integer("b", 1, 4, when={"a": ["p", "q"]}),
            Float("c", 0.0, 1.0, step=0.25, when={"b": [1, 2]}),
            Integer("d", 1, 6),
        ]
    ),
    "repeating": Space([Integer("x", 0, 9), Categorical("a", (True, False)), Integer("y", 0, 2)]),
}
OBJECTIVES = {
    "one": (Objective(metric="score"),),
    "two": (Objective(metric="score"), Objective(metric="size", goal="minimize")),
}
HARD = Constraint(metric="cost", max=2.2)


def cost_model(matrix: Matrix) -> dict[str, Matrix]:
    return {"cost": np.nansum(np.abs(matrix) / np.nanmax(np.abs(matrix) + 1, axis=1, keepdims=True), axis=1)}


def build(
    name: str, space: Space, objectives: Sequence[Objective], options: Mapping[str, Any] | None = None, **changes: Any
) -> Proposer:
    algorithm = create(
        name,
        space=space,
        objectives=objectives,
        constraints=[HARD, Constraint(metric="latency", max=0.6)],
        cost_model=cost_model,
        seed=11,
        **OPTIONS[name],
        **(options or {}),
        **(feasible_of(space) if name == "given" else {}),
    )
    return Proposer(algorithm, space, cost_model=CostModel.of(cost_model, space), hard=[HARD], **changes)


def feasible_of(space: Space) -> dict[str, list[dict[str, Scalar]]]:
    """Candidates for `given`, some of them more than once."""
    matrix = space.sample(60, np.random.default_rng(1))
    matrix = matrix[cost_model(matrix)["cost"] <= (HARD.max or 0)]
    return {"candidates": [dict(one.values) for one in space.from_matrix(np.vstack([matrix[:3], matrix]))]}


def metrics_of(candidate: Candidate) -> dict[str, float]:
    numbers = [float(v) if isinstance(v, int | float) else len(str(v)) for _, v in sorted(candidate.values.items())]
    level = float(np.sum(np.arange(1, len(numbers) + 1) * numbers))
    return {"score": float(np.cos(level / 3)), "size": level, "latency": float(np.sin(level) ** 2)}


@dataclass
class Search:
    """Runs trials in an order drawn by `random`, on which alone its actions depend."""

    make: Callable[[], Proposer]
    random: np.random.Generator
    proposer: Proposer = field(init=False)
    trials: list[Trial] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.proposer = self.make()

    def rebuild(self) -> None:
        """Restart as after a kill, from the stored trials alone."""
        self.proposer = self.make()
        self.proposer.replay(self.trials)

    def turn(self) -> None:
        """Make a few proposals, then end a few trials."""
        for proposal in self.proposer.propose(int(self.random.integers(1, 4))):
            self.trials.append(stored(len(self.trials), proposal))
        for number in self.random.permutation([one.number for one in self.trials if not one.state.is_final])[:2]:
            self._end(self.trials[int(number)])
        if self.random.random() < 0.25:
            self._retry()

    def _end(self, trial: Trial) -> None:
        kind = self.random.random()
        if kind < 0.15:
            state, failure, metrics = TrialState.FAILED, FailureKind.DIVERGED, None
        else:
            state, failure = (TrialState.STOPPED if kind < 0.4 else TrialState.SUCCEEDED), None
            metrics = metrics_of(trial.proposal.candidate) | dict(trial.proposal.costs)
        ended = replace(trial, state=state, failure=failure, metrics=metrics, step=3 if kind < 0.4 else 9)
        self.trials[trial.number] = replace(ended, told=self.proposer.tell(trial.number, ended.observation()))

    def _retry(self) -> None:
        failed = [one for one in self.trials if one.state is TrialState.FAILED]
        if failed:
            trial = failed[int(self.random.integers(len(failed)))]
            self.proposer.reopen(trial.number)
            self.trials[trial.number] = replace(trial, state=TrialState.QUEUED, failure=None, metrics=None, told=None)


def stored(number: int, proposal: Proposal) -> Trial:
    return Trial(
        id=f"trial-{number}",
        job_id="job",
        number=number,
        state=TrialState.RUNNING,
        proposal=proposal,
        metrics=None,
        best_step=None,
        step=0,
        seconds=0.0,
        failure=None,
        reason=None,
        told=None,
        attempts=1,
        test_metrics=None,
        created_at=0.0,
        started_at=None,
        finished_at=None,
    )


CASES = [
    (name, space, objectives)
    for name in OPTIONS
    for space in SPACES
    for objectives in OBJECTIVES
    if not (name == "cmaes" and objectives == "two")
    if name != "gp" or (space, objectives) in (("conditional", "one"), ("repeating", "one"))
]


@pytest.mark.parametrize(("name", "space", "objectives"), CASES)
def test_an_interruption_anywhere_does_not_change_the_proposals(name: str, space: str, objectives: str) -> None:
    def make() -> Proposer:
        return build(name, SPACES[space], OBJECTIVES[objectives])

    whole, broken = Search(make, np.random.default_rng(3)), Search(make, np.random.default_rng(3))
    kills = np.random.default_rng(4)
    while len(whole.trials) < TRIALS.get(name, 36) and not whole.proposer.exhausted:
        whole.turn()
        if kills.random() < 0.4:
            broken.rebuild()
        broken.turn()
        assert broken.proposer.diverged_at is None
        assert [one.proposal for one in broken.trials] == [one.proposal for one in whole.trials]
    assert [one.told for one in broken.trials] == [one.told for one in whole.trials]


@pytest.mark.parametrize(
    ("name", "space", "objectives"), [case for case in CASES if case[0] in ("nsga2", "cmaes")]
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_replay_that_samples_nothing_leaves_the_same_state(
    monkeypatch: pytest.MonkeyPatch, name: str, space: str, objectives: str, seed: int
) -> None:
    monkeypatch.setattr(replay, "_CHECKED_FIRST", 0)
    monkeypatch.setattr(replay, "_CHECKED_EVERY", 10**9)

    def make() -> Proposer:
        return build(name, SPACES[space], OBJECTIVES[objectives])

    whole, broken = Search(make, np.random.default_rng(seed)), Search(make, np.random.default_rng(seed))
    kills = np.random.default_rng(seed)
    while len(whole.trials) < 70 and not whole.proposer.exhausted:
        whole.turn()
        if kills.random() < 0.4:
            broken.rebuild()
        broken.turn()
        assert [one.proposal for one in broken.trials] == [one.proposal for one in whole.trials]


@pytest.mark.parametrize("name", ["nsga2", "cmaes"])
def test_a_replay_samples_only_a_part_of_the_asks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each generation begins with a sample, and the first trials and some of the others are checked."""
    from searchsvc.algorithms.optuna.adapter import OptunaAlgorithm

    source = Search(lambda: build(name, SPACES["flat"], OBJECTIVES["one"]), np.random.default_rng(7))
    while len(source.trials) < 300:
        source.turn()
    sampled: list[int] = []
    sample = OptunaAlgorithm._sample

    def counted(self: OptunaAlgorithm, trial: Any, asks: int) -> Any:
        sampled.append(asks)
        return sample(self, trial, asks)

    monkeypatch.setattr(OptunaAlgorithm, "_sample", counted)
    source.rebuild()
    assert len(sampled) < 0.7 * source.trials[-1].proposal.asks


@pytest.mark.parametrize("name", [one for one in OPTIONS if one != "gp"])
def test_candidates_that_count_as_the_same_are_answered_alike_after_a_restart(name: str) -> None:
    """5 of the 10 values of x and 4 of the 10 values of y differ: most candidates repeat and are answered at once."""
    space = Space([Integer("x", 0, 9), Integer("y", 0, 9), Categorical("z", (0, 1))])
    fast = {"neural": False} if name == "fbnetv3" else {}

    def make() -> Proposer:
        return build(name, space, OBJECTIVES["one"], fast, identity=lambda matrix: matrix // [2.0, 3.0, 1.0])

    whole, broken = Search(make, np.random.default_rng(6)), Search(make, np.random.default_rng(6))
    while len(whole.trials) < TRIALS.get(name, 30) and not whole.proposer.exhausted:
        whole.turn()
        broken.rebuild()
        broken.turn()
        assert broken.proposer.diverged_at is None
        assert [one.proposal for one in broken.trials] == [one.proposal for one in whole.trials]
    networks = [(int(v["x"]) // 2, int(v["y"]) // 3, v["z"]) for v in (one.values for one in whole.trials)]
    assert len(set(networks)) == len(networks)


@pytest.mark.parametrize("name", [one for one in OPTIONS if one != "gp"])
def test_with_repeats_the_same_candidate_may_become_several_trials(name: str) -> None:
    space = Space([Categorical("a", (1, 2, 3))])

    def make() -> Proposer:
        return build(name, space, OBJECTIVES["one"], repeats=True)

    whole, broken = Search(make, np.random.default_rng(1)), Search(make, np.random.default_rng(1))
    for _ in range(8):
        whole.turn()
        broken.rebuild()
        broken.turn()
    assert [one.proposal for one in broken.trials] == [one.proposal for one in whole.trials]
    assert len({one.proposal.candidate for one in whole.trials}) < len(whole.trials)


@pytest.mark.parametrize("name", ["tpe", "nsga2", "cmaes", "evolution"])
def test_a_cancelled_candidate_may_be_proposed_again_after_a_restart(name: str) -> None:
    space = Space([Integer("x", 0, 5)])

    def make() -> Proposer:
        return build(name, space, OBJECTIVES["one"])

    search = Search(make, np.random.default_rng(2))
    search.turn()
    search.trials = [
        one if one.state.is_final else replace(one, state=TrialState.CANCELLED) for one in search.trials
    ]
    for _ in range(12):
        search.rebuild()
        assert search.proposer.diverged_at is None
        search.turn()
    ran = {one.proposal.candidate for one in search.trials if one.state is not TrialState.CANCELLED}
    assert search.proposer.exhausted
    assert len(ran) == len(space.from_matrix(np.arange(6.0)[:, None])) - _never_feasible(space)


def _never_feasible(space: Space) -> int:
    costs = cost_model(np.arange(6.0)[:, None])["cost"]
    return int((costs > (HARD.max or 0)).sum())


@pytest.mark.parametrize("name", ["nsga2", "cmaes"])
def test_an_algorithm_whose_proposals_changed_continues_from_the_stored_trials(name: str) -> None:
    def make() -> Proposer:
        return build(name, SPACES["flat"], OBJECTIVES["one"])

    search = Search(make, np.random.default_rng(5))
    for _ in range(6):
        search.turn()
    changed = search.trials[7]
    other = Candidate({**changed.values, "x": 0.123})
    search.trials[7] = replace(changed, proposal=replace(changed.proposal, candidate=other))
    search.rebuild()
    assert search.proposer.diverged_at == 7
    before = {one.proposal.candidate for one in search.trials}
    search.turn()
    assert len({one.proposal.candidate for one in search.trials} - before) == len(search.trials) - len(before) > 0


@pytest.mark.parametrize("name", ["random", "evolution", "tpe", "nsga2", "cmaes"])
def test_twice_the_trials_are_replayed_in_about_twice_the_operations(name: str) -> None:
    """There is a result after each proposal, as with a single worker."""
    _, few, many = (_calls_of_replay(name, count) for count in (10, 150, 300))  # the first run imports modules
    assert many < 2.5 * few


def _calls_of_replay(name: str, count: int) -> int:
    first, space = build("random", SPACES["flat"], OBJECTIVES["one"]), SPACES["flat"]
    source = build(name, space, OBJECTIVES["one"]) if name in ("nsga2", "cmaes") else first
    trials = []
    for number in range(count):
        [proposal] = source.propose(1)
        metrics = metrics_of(proposal.candidate)
        place = source.tell(number, Observation(proposal.candidate, metrics, step=9))
        trial = stored(number, proposal)
        trials.append(replace(trial, state=TrialState.SUCCEEDED, metrics=metrics, step=9, told=place))
    replayed = build(name, space, OBJECTIVES["one"])
    with calls() as operations:
        replayed.replay(trials)
    assert replayed.next_number == count
    assert replayed.diverged_at is None
    return operations.count

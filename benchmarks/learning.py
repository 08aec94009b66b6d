"""CPU seconds of predictors, proposals and recommendations, compared with a tenth of the input if it has a size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.cpu_seconds import alone, scaled
from benchmarks.report import Row
from searchsvc.algorithms import create
from searchsvc.domain import Candidate, Constraint, Objective, Observation
from searchsvc.errors import NothingFeasible
from searchsvc.predictors import neural
from searchsvc.predictors.encoding import Encoding
from searchsvc.proposing.proposer import Proposer
from searchsvc.service.recommending.search import SearchRequest, search
from searchsvc.service.recommending.training_data import TrainingData
from searchsvc.spaces import Categorical, Float, Integer, Matrix, Space
from searchsvc.spaces.costs.model import CostModel

ACCURACY = Objective(metric="accuracy")
SPACE = Space(
    [
        *(Integer(f"depth_{stage}", 1, 6) for stage in range(5)),
        Float("lr", 1e-3, 1.0, log=True),
        Categorical("optimizer", ("sgd", "adam")),
    ]
)
ASKS = 64


def run() -> list[Row]:
    return [
        scaled("the neural predictor fitted to 200 results", _fit, 200, 1.0),
        scaled("64 asks of fbnetv3 after 10,000 results", _asks("fbnetv3"), 10_000, 3.2),
        *(scaled(f"64 asks of {name} after 2,000 results", _asks(name), 2_000, 5.0) for name in ("nsga2", "cmaes")),
        scaled("1,000,000 candidates refused by a hard limit", _hopeless, 1_000_000, 10.0),
        alone("3 candidates recommended within a limit", _recommend, 10.0),
    ]


def flops(matrix: Matrix) -> dict[str, Matrix]:
    """Return costs (n,) of candidates (n, parameters)."""
    return {"flops": 1e5 * (matrix[:, :5] * np.arange(1, 6)).sum(axis=1)}


COSTS = CostModel(("flops",), flops)


def _accuracy(matrix: Matrix) -> Matrix:
    """Return accuracies (n,): deeper is better with decreasing gain; the best rate is 0.03."""
    return 0.5 + np.log(matrix[:, :5]).sum(axis=1) / 20 - 0.05 * (np.log10(matrix[:, 5]) + 1.5) ** 2


def _fit(size: int) -> Callable[[], object]:
    encoding = Encoding(SPACE, COSTS)
    encoder = neural.pretrain(encoding, seed=0)
    matrix = SPACE.sample(size, np.random.default_rng(6))
    values = _accuracy(matrix)
    return lambda: neural.fit(encoding, encoder, matrix, (values - values.mean()) / values.std(), 0)


def _asks(name: str) -> Callable[[int], Callable[[], object]]:
    def prepare(size: int) -> Callable[[], object]:
        algorithm = create(name, space=SPACE, objectives=[ACCURACY], seed=1)
        algorithm.tell(_observed(SPACE.from_matrix(SPACE.sample(size, np.random.default_rng(0)))))

        def ask() -> None:
            for _ in range(ASKS):
                algorithm.tell(_observed(algorithm.ask(1)))

        return ask

    return prepare


def _observed(candidates: Sequence[Candidate]) -> list[Observation]:
    accuracies = _accuracy(SPACE.to_matrix(candidates))
    pairs = zip(candidates, accuracies, strict=True)
    return [Observation(candidate, {"accuracy": float(accuracy)}, step=1) for candidate, accuracy in pairs]


def _hopeless(size: int) -> Callable[[], object]:
    limit = Constraint(metric="flops", max=1e-3)

    def refuse() -> None:
        algorithm = create("random", space=SPACE, objectives=[ACCURACY], constraints=[limit], cost_model=COSTS, seed=3)
        proposer = Proposer(algorithm, SPACE, cost_model=COSTS, hard=[limit], max_tries=size)
        try:
            proposer.propose(1)
        except NothingFeasible:
            return
        raise AssertionError("a candidate was proposed")

    return refuse


def _recommend() -> None:
    matrix = SPACE.sample(60, np.random.default_rng(0))
    costs = flops(matrix)["flops"]
    metrics = tuple({"accuracy": float(a), "flops": float(f)} for a, f in zip(_accuracy(matrix), costs, strict=True))
    request = SearchRequest(
        training_data=TrainingData((), matrix, metrics, 1),
        space=SPACE,
        cost_model=COSTS,
        identity=None,
        constraints=(Constraint(metric="flops", max=4e6),),
        predicted=("accuracy",),
        example=np.empty((0, len(SPACE))),
        objectives=(ACCURACY,),
        k=3,
        seed=0,
    )
    assert len(search(request)) == 3

"""The seconds of a fit, and the number of candidates scored per second, in the joint space of FBNetV3.

Seconds are processor time, so that other work on the machine counts less: a rate is candidates per second and core,
added up over processes that run at the same time, one per core. Accuracies are made up: only the time counts.
"""

from __future__ import annotations

import multiprocessing as mp
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.ablation_figures import Figure
from searchsvc.domain import DatasetInfo, Objective
from searchsvc.predictors import neural
from searchsvc.predictors.constrained_search import PredictedProblem
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.predictor import Predictor
from searchsvc.predictors.threads import one_thread
from searchsvc.spaces.catalogue import find
from searchsvc.spaces.costs.model import CostModel
from searchsvc.spaces.networks import cost_model_for
from searchsvc.spaces.space import Matrix, Space

SPACE = "fbnetv3"
TRIALS = 200
CORES = 2
CANDIDATES = 32_768
LEAST_PER_SECOND = 1_000_000
MOST_SECONDS = 1.0
FIT = f"fit to {TRIALS} trials"
SCORES = ("neural ensemble", "combined predictor", "combined predictor and cost model, as stage 2")
"""The rate with a bound; the other rates show how the time is spent."""
ROUNDS = 3
_BATCH = 8192
"""Number of candidates scored at once: intermediate results stay in the core's cache."""
_SIDE = 1024
_IMAGENET = DatasetInfo("imagenet", tuple(map(str, range(1000))), (3, 224, 224), {})


def speed(candidates: int = CANDIDATES) -> Iterator[Figure]:
    """Measure each rate on `CORES` cores at the same time."""
    with ProcessPoolExecutor(CORES, mp.get_context("spawn")) as pool:
        measured = [one.result() for one in [pool.submit(measured_on_a_core, candidates) for _ in range(CORES)]]
    seconds, rates = zip(*measured, strict=True)
    for what in seconds[0]:
        value = float(np.mean([one[what] for one in seconds]))
        bound, holds = (f"< {MOST_SECONDS:g} s", value < MOST_SECONDS) if what == FIT else ("", None)
        yield Figure("Speed", what, "seconds on one core", value, None, bound, holds)
    for what in rates[0]:
        value = float(sum(one[what] for one in rates))
        bound, holds = (f">= {LEAST_PER_SECOND:,}", value >= LEAST_PER_SECOND) if what in SCORES else ("", None)
        yield Figure("Speed", what, f"candidates per second on {CORES} cores", value, None, bound, holds)


@one_thread()
def measured_on_a_core(candidates: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds of each fit, and candidates per second for each way to score them, on this core."""
    space, costs = _space()
    told_candidates = space.sample(TRIALS, np.random.default_rng(1))
    accuracies = np.log(costs(told_candidates)["flops"]) + 0.3 * np.random.default_rng(2).standard_normal(TRIALS)
    encoding = Encoding(space, costs)
    encoder = neural.pretrain(encoding, 0)
    fitted = Predictor.fit(encoding, told_candidates, accuracies, seed=0, encoder=encoder)
    ensemble = neural.fit(encoding, encoder, told_candidates, fitted.warp.forward(accuracies), 0)
    both = replace(fitted, ensemble=ensemble, weight=0.5)  # whatever weight these accuracies give it
    seconds = {
        FIT: _seconds(lambda: Predictor.fit(encoding, told_candidates, accuracies, seed=0, encoder=encoder)),
        "pretraining, once per job": _seconds(lambda: neural.pretrain(encoding, 0)),
    }
    problem = PredictedProblem(
        space=space,
        objectives=(Objective(metric="accuracy"),),
        hard=(),
        outcome=(),
        predictors={"accuracy": both},
        cost_model=costs,
    )
    scored: Mapping[str, Callable[[Matrix], object]] = {
        "cost model": costs,
        "features, costs among them": encoding.features,
        **dict(zip(SCORES, (ensemble.predict, both.predict, problem.posterior), strict=True)),
    }
    drawn = space.sample(candidates, np.random.default_rng(0))
    batches = [drawn[start : start + _BATCH] for start in range(0, len(drawn), _BATCH)]
    rates = {what: candidates / _seconds(partial(_each, score, batches)) for what, score in scored.items()}
    return seconds, {**rates, "what the products of the neural ensemble would allow": _allowed(ensemble)}


def _each(score: Callable[[Matrix], object], batches: Sequence[Matrix]) -> None:
    for batch in batches:
        score(batch)


def _space() -> tuple[Space, CostModel]:
    shipped = find(SPACE)
    costs = cost_model_for(shipped.task, shipped.space, _IMAGENET, shipped.constants)
    return shipped.space, costs


def _seconds(run: Callable[[], object]) -> float:
    """Return processor seconds: the minimum of several rounds."""
    return min(_timed(run) for _ in range(ROUNDS))


def _timed(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _allowed(ensemble: neural.NeuralEnsemble) -> float:
    """Return the possible rate, if all matrix products ran as fast as a large product with as many operations."""
    square = np.ones((_SIDE, _SIDE), dtype=np.float32)
    per_second = _SIDE**3 / _seconds(lambda: square @ square)
    return per_second / sum(weights.numel() for weights, _ in (*ensemble.encoder.layers, *ensemble.head))

"""Seconds for one proposal after 100, 1,000 and 10,000 told trials, for every algorithm, beside plain Optuna.

Each pair is measured in a process of its own, ours and the reference in turn, so that drift of the machine meets both.
A pair that does not end within LIMIT_SECONDS is reported as such: GP regression is cubic in the number of trials.
"""

from __future__ import annotations

import multiprocessing as mp
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.report import Row
from searchsvc.algorithms import ALGORITHMS, create
from searchsvc.domain import Objective, Observation
from searchsvc.spaces import Categorical, Float, Integer, Space

TOLD = (100, 1_000, 10_000)
ASKS = 5
LIMIT_SECONDS = 75

SPACE = Space(
    [
        Float("lr", 1e-4, 1.0, log=True),
        Float("weight_decay", 1e-6, 1e-2, log=True),
        Float("dropout", 0.0, 0.5),
        Integer("width", 8, 256, log=True),
        Integer("depth", 1, 12),
        Integer("kernel", 3, 7, step=2),
        Categorical("optimizer", ("sgd", "adamw", "rmsprop")),
        Categorical("se", (True, False)),
    ]
)


def run() -> list[Row]:
    return [_row(name, told) for name in ALGORITHMS for told in TOLD]


def _row(name: str, told: int) -> Row:
    with mp.get_context("spawn").Pool(1) as pool:
        try:
            ours, reference = pool.apply_async(_measure, (name, told)).get(timeout=LIMIT_SECONDS)
        except mp.TimeoutError:
            over = f"over {LIMIT_SECONDS} s with its reference"
            return Row(f"{name}, {told:,} told", over, "")
    if reference is None:
        return Row(f"{name}, {told:,} told", _milliseconds(ours), "not in Optuna")
    return Row(f"{name}, {told:,} told", _milliseconds(ours), f"{_milliseconds(reference)} Optuna", ours / reference)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"


def _measure(name: str, told: int) -> tuple[float, float | None]:
    """Median seconds of one tell and ask, ours and plain Optuna's."""
    ours, reference = _ours(name, told), _plain_optuna(name, told)
    next(ours)
    if reference is None:
        return statistics.median(next(ours) for _ in range(ASKS)), None
    next(reference)
    pairs = [(next(ours), next(reference)) for _ in range(ASKS)]
    mine, theirs = zip(*pairs, strict=True)
    return statistics.median(mine), statistics.median(theirs)


def _score(values: dict[str, Any]) -> float:
    return -abs(np.log10(values["lr"]) + 2) - values["dropout"] + 0.1 * values["se"]


def _ours(name: str, told: int) -> Iterator[float]:
    algorithm = create(name, space=SPACE, objectives=[Objective(metric="score")], seed=0)
    drawn = SPACE.from_matrix(SPACE.sample(told, np.random.default_rng(0)))
    algorithm.tell([Observation(one, {"score": _score(dict(one.values))}, step=1) for one in drawn])
    while True:
        started = time.perf_counter()
        [candidate] = algorithm.ask(1)
        algorithm.tell([Observation(candidate, {"score": _score(dict(candidate.values))}, step=1)])
        yield time.perf_counter() - started


def _plain_optuna(name: str, told: int) -> Iterator[float] | None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    samplers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "random": lambda: optuna.samplers.RandomSampler(seed=0),
        "sobol": lambda: optuna.samplers.QMCSampler(seed=0, qmc_type="sobol"),
        "tpe": lambda: optuna.samplers.TPESampler(seed=0, multivariate=True),
        "gp": lambda: optuna.samplers.GPSampler(seed=0),
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=0),
        "cmaes": lambda: optuna.samplers.CmaEsSampler(seed=0),
    }
    return _optuna_loop(optuna, samplers[name](), told) if name in samplers else None


def _optuna_loop(optuna: Any, sampler: Any, told: int) -> Iterator[float]:
    distributions = {
        "lr": optuna.distributions.FloatDistribution(1e-4, 1.0, log=True),
        "weight_decay": optuna.distributions.FloatDistribution(1e-6, 1e-2, log=True),
        "dropout": optuna.distributions.FloatDistribution(0.0, 0.5),
        "width": optuna.distributions.IntDistribution(8, 256, log=True),
        "depth": optuna.distributions.IntDistribution(1, 12),
        "kernel": optuna.distributions.IntDistribution(3, 7, step=2),
        "optimizer": optuna.distributions.CategoricalDistribution(("sgd", "adamw", "rmsprop")),
        "se": optuna.distributions.CategoricalDistribution((True, False)),
    }
    study = optuna.create_study(direction="maximize", sampler=sampler)
    drawn = SPACE.from_matrix(SPACE.sample(told, np.random.default_rng(0)))
    create_trial = optuna.trial.create_trial
    stored = [(dict(one.values), _score(dict(one.values))) for one in drawn]
    study.add_trials([create_trial(params=one, distributions=distributions, value=score) for one, score in stored])
    while True:
        started = time.perf_counter()
        trial = study.ask(distributions)
        study.tell(trial, _score(trial.params))
        yield time.perf_counter() - started

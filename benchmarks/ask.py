"""Seconds per proposal after 100, 1,000 and 10,000 told trials, for every algorithm, compared with plain Optuna.

Each pair is measured in its own process, ours and the reference in turn, so that drift of the machine affects both.
Measurements that take longer than LIMIT_SECONDS are reported as such: GP regression is cubic in the number of trials,
which ours bounds by its option `window`.
"""

from __future__ import annotations

import multiprocessing as mp
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.report import Row
from searchsvc.algorithms import ALGORITHMS, create
from searchsvc.domain import Objective, Observation
from searchsvc.spaces import Categorical, Float, Integer, Space

TOLD = (100, 1_000, 10_000)
ASKS = 5
LIMIT_SECONDS = 45
LISTS = ("given", "autohas")
"""Algorithms that propose from a list and therefore search nothing."""
IN_OPTUNA = ("random", "sobol", "tpe", "gp", "nsga2", "cmaes")

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
    return [_row(name, told) for name in ALGORITHMS if name not in LISTS for told in TOLD]


def _row(name: str, trials: int) -> Row:
    ours, reference = _collect(name, trials)
    what, over = f"{name}, {trials:,} told", f"over {LIMIT_SECONDS} s"
    shown = _milliseconds(ours) if ours else over
    if name not in IN_OPTUNA:
        return Row(what, shown, "not in Optuna")
    beside = f"{_milliseconds(reference) if reference else over}  Optuna"
    both = ours and reference
    return Row(what, shown, beside, statistics.median(ours) / statistics.median(reference) if both else None)


def _milliseconds(seconds: list[float]) -> str:
    return f"{1000 * statistics.median(seconds):.2f} ms"


def _collect(name: str, trials: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each ask and tell, ours and plain Optuna's, that were measured within the time limit."""
    context = mp.get_context("spawn")
    results, pen = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(name, trials, pen), daemon=True)
    process.start()
    pen.close()
    collected: tuple[list[float], list[float]] = ([], [])
    deadline = time.monotonic() + LIMIT_SECONDS
    try:
        while results.poll(max(0.0, deadline - time.monotonic())):
            which, seconds = results.recv()
            collected[which].append(seconds)
    except EOFError:
        process.join()
        if process.exitcode:
            raise RuntimeError(f"the process that measured {name} ended with {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
    return collected


def _measure(name: str, trials: int, pen: Connection) -> None:
    """Send the seconds of each ask, except the first of each side, which reads all told trials."""
    sides = [_ours(name, trials), *([_plain_optuna(name, trials)] if name in IN_OPTUNA else [])]
    next(sides[0])
    pen.send((0, next(sides[0])))  # so that ours is reported even if Optuna's first does not end in time
    for side in sides[1:]:
        next(side)
    for _ in range(ASKS):
        for which, side in enumerate(sides):
            pen.send((which, next(side)))


def _score(values: dict[str, Any]) -> float:
    return -abs(np.log10(values["lr"]) + 2) - values["dropout"] + 0.1 * values["se"]


def _ours(name: str, trials: int) -> Iterator[float]:
    algorithm = create(name, space=SPACE, objectives=[Objective(metric="score")], seed=0)
    drawn = SPACE.from_matrix(SPACE.sample(trials, np.random.default_rng(0)))
    algorithm.tell([Observation(one, {"score": _score(dict(one.values))}, step=1) for one in drawn])
    while True:
        started = time.perf_counter()
        [candidate] = algorithm.ask(1)
        algorithm.tell([Observation(candidate, {"score": _score(dict(candidate.values))}, step=1)])
        yield time.perf_counter() - started


def _plain_optuna(name: str, trials: int) -> Iterator[float]:
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
    return _optuna_loop(optuna, samplers[name](), trials)


def _optuna_loop(optuna: Any, sampler: Any, trials: int) -> Iterator[float]:
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
    drawn = SPACE.from_matrix(SPACE.sample(trials, np.random.default_rng(0)))
    create_trial = optuna.trial.create_trial
    stored = [(dict(one.values), _score(dict(one.values))) for one in drawn]
    study.add_trials([create_trial(params=one, distributions=distributions, value=score) for one, score in stored])
    while True:
        started = time.perf_counter()
        trial = study.ask(distributions)
        study.tell(trial, _score(trial.params))
        yield time.perf_counter() - started

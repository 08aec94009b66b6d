"""Trials through the whole stack (store, driver process, Ray Tune, workers), compared with bare Ray Tune.

Both use the same Ray head and run in turn, each in its own process, several rounds; the table has the medians. A rate
is measured from the end of the first trial to the end of the last, so that the start of processes counts for neither.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.report import Row
from searchsvc.domain import JobState, TrialState
from tests.support.driving import Rig, a_spec
from workers import cluster

SLOTS = 2
SHORT_TRIALS, SHORT_ROUNDS = 400, 3
LONG_TRIALS, LONG_ROUNDS = 20, 2
LEAST_RATIO, MOST_OVERHEAD = 0.9, 0.05
LIMIT_SECONDS = 120.0


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder), cpus=SLOTS)
        try:
            _span_of_ours(rig, a_spec(task="noop", trials=2 * SLOTS, epochs=1))  # the head has its workers warm
            return [*_no_op_trials(rig), *_one_second_trials(rig)]
        finally:
            rig.close()


def _no_op_trials(rig: Rig) -> list[Row]:
    spec = a_spec(task="noop", trials=SHORT_TRIALS, epochs=1)
    ours, bare = _in_turn(rig, spec, trials=SHORT_TRIALS, seconds=0.0, rounds=SHORT_ROUNDS)
    rates = [(SHORT_TRIALS - 1) / span for span in (ours, bare)]
    ratio = rates[0] / rates[1]
    shown = (f"{rates[0]:.1f} /s", f"{rates[1]:.1f} /s  bare Ray Tune")
    return [Row("no-op trials", *shown, ratio, f">= {LEAST_RATIO}", ratio >= LEAST_RATIO)]


def _one_second_trials(rig: Rig) -> list[Row]:
    """Compare with the ideal: all slots busy all the time, so that a row of trials ends every second."""
    spec = a_spec(task="scripted", trials=LONG_TRIALS, epochs=1, seconds=1.0)
    ours, bare = _in_turn(rig, spec, trials=LONG_TRIALS, seconds=1.0, rounds=LONG_ROUNDS)
    ideal = float(LONG_TRIALS // SLOTS - 1)
    what, bound = f"{LONG_TRIALS} trials of 1 s, {SLOTS} at once", f"<= {1 + MOST_OVERHEAD}"
    references = {"the ideal": ideal, "bare Ray Tune": bare}
    return [
        Row(what, f"{ours:.2f} s", f"{span:.2f} s  {name}", ours / span, bound, ours <= span * (1 + MOST_OVERHEAD))
        for name, span in references.items()
    ]


def _in_turn(rig: Rig, spec: Mapping[str, Any], *, trials: int, seconds: float, rounds: int) -> tuple[float, float]:
    """Return median seconds from the first end to the last, ours and bare Tune's, which begin in turn."""
    runs: list[tuple[str, list[float], Callable[[], float]]] = [
        ("ours", [], lambda: _span_of_ours(rig, spec)),
        ("bare", [], lambda: _span_of_bare(rig, trials, seconds)),
    ]
    for turn in range(rounds):
        for name, spans, measure in runs if turn % 2 == 0 else reversed(runs):
            spans.append(measure())
            print(f"{trials} trials of {seconds:g} s, round {turn + 1}, {name}: {spans[-1]:.2f} s", file=sys.stderr)
    (_, ours, _), (_, bare, _) = runs
    return statistics.median(ours), statistics.median(bare)


def _span_of_ours(rig: Rig, spec: Mapping[str, Any]) -> float:
    job = rig.run(spec, timeout=LIMIT_SECONDS)
    ended = rig.trials(job)
    assert job.state is JobState.SUCCEEDED
    assert {trial.state for trial in ended} == {TrialState.SUCCEEDED}
    ends = [trial.finished_at for trial in ended if trial.finished_at is not None]
    return max(ends) - min(ends)


def _span_of_bare(rig: Rig, trials: int, seconds: float) -> float:
    head = cluster.running(rig.settings)
    assert head is not None
    arguments = [head.address, str(trials), str(seconds), "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_tune", *arguments],
        env=rig.environment | cluster.client_environment(rig.settings),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"bare Ray Tune failed:\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])

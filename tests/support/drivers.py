"""A process that uses the store like drivers do, and prints its stored state. To be run many times, and to be killed:
`python -m tests.support.drivers URL HOLDER TRIALS STEPS`.

It claims jobs until none is left. Each line that it prints is a JSON list: ["claimed", job, epoch], and after the
flush of each step ["stored", job, trials, step]. With a fifth argument, `together`, it waits after its first claim
until it receives a line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from searchsvc.domain import JobState, Lease, Measurement
from searchsvc.store import Store
from tests.support.jobs import DONE, add_trials

ROOT = Path(__file__).parents[2]
TTL_SECONDS = 600.0
"""Long enough that no lease expires on a slow machine."""


def start(url: str, holder: str, *, trials: int, steps: int, together: bool = False) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.drivers", url, holder, str(trials), str(steps)]
    command += ["together"] if together else []
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def drive(store: Store, lease: Lease, trials: int, steps: int) -> None:
    ids = add_trials(store, lease, trials)
    writer = store.writer(lease)
    for trial_id in ids:
        writer.start_attempt(trial_id, 1, lease.holder, 1, 0.0)
    for step in range(1, steps + 1):
        for trial_id in ids:
            measured = Measurement(step, {"accuracy": step / steps}, float(step))
            writer.measure(trial_id, measured, measured)
        writer.flush()
        say("stored", lease.job_id, trials, step)
    for order, trial_id in enumerate(ids):
        writer.finish(trial_id, 1, DONE, order)
    store.heartbeat(lease, TTL_SECONDS, seconds=1.0, gpu_seconds=0.0)
    writer.finish_job(JobState.SUCCEEDED)
    writer.flush()


def say(*words: str | int) -> None:
    print(json.dumps(words), flush=True)


def main(url: str, holder: str, trials: str, steps: str, together: str = "") -> None:
    store, waits = Store.open(url), bool(together)
    while (claimed := store.claim(holder, TTL_SECONDS)) is not None:
        lease = claimed[1]
        say("claimed", lease.job_id, lease.epoch)
        if waits:
            sys.stdin.readline()
            waits = False
        drive(store, lease, int(trials), int(steps))
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

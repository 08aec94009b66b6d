"""The reference of `benchmarks.trials`: the same trials on Ray Tune alone, with `reuse_actors` and its own files off.

Run as its own process: `python -m benchmarks.bare_tune ADDRESS TRIALS SECONDS CPUS` prints the seconds from the end of
the first trial to the end of the last.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

os.environ.update(
    {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0", "TUNE_GLOBAL_CHECKPOINT_S": "1000000"}
)

import ray
from ray import tune


class NoOp(tune.Trainable):
    """A trial that sleeps, reports a number and ends."""

    def setup(self, config: dict[str, Any]) -> None:
        self.config = config

    def step(self) -> dict[str, Any]:
        time.sleep(self.config["seconds"])
        return {"score": 1.0, "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.config = new_config
        return True


class Clock(tune.Callback):
    """Records the time at which each trial ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_trial_complete(self, **_: Any) -> None:
        self.ends.append(time.perf_counter())


def main(address: str, trials: int, seconds: float, cpus: float) -> None:
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        tune.run(
            tune.with_resources(NoOp, {"cpu": cpus}),
            config={"seconds": seconds, "lr": tune.uniform(0, 1)},
            num_samples=trials,
            reuse_actors=True,
            callbacks=[clock],
            verbose=0,
            storage_path=folder,
        )
    if len(clock.ends) != trials:
        raise RuntimeError(f"{len(clock.ends)} of {trials} trials ended well")
    print(json.dumps({"seconds": clock.ends[-1] - clock.ends[0]}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))

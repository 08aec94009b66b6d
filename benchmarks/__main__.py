"""`python -m benchmarks [NAME ...] [--json]`: runs the named benchmarks, or all, and prints a table for each."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys

from benchmarks import ablation, scale, search
from benchmarks.report import print_table, with_table
from benchmarks.search_results import PAGE

BENCHMARKS = {
    "startup": "Start-up time of the command",
    "reports": "Durable measurements per second",
    "pages": "First page of a job with 100,000 trials",
    "web": "The page of a job of 10,000 and of 100,000 trials, and the API with 50 open pages",
    "ask": "One proposal after many told trials, compared with plain Optuna",
    "training": "One training step, compared with a plain PyTorch loop",
    "autohas": "A search with shared weights, compared with training one network",
    "detectors": "An epoch of detectors on two cores, and a step compared with torchvision's",
    "trials": "Trials through the whole stack, compared with bare Ray Tune",
    "operations": "CPU seconds of operations on costs, documents and data",
    "service_memory": "Memory of the service before and after heavy requests",
    "learning": "CPU seconds of predictors, proposals and recommendations",
    "scale": "A driver back at work on a job of 10,000 trials and 1,000,000 measurements, beside an empty job",
    "fuzz": "Damaged files for the readers of data and specs, within 1 GiB",
    "recovery": "A job's first trial, and the next one after kill -9 of its driver",
    "search": "Evaluations to the value of TPE at 100, on tables of real trainings",
    "ablation": "The contribution of each part of the predictor and of FBNetV3's search",
}
WITH_OPTIONS = ("search", "ablation", "scale")
"""Benchmarks whose `run` takes the command-line arguments."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    parser.add_argument("--docs", action="store_true", help=f"put the tables that {PAGE.name} has a place for into it")
    search.add_options(parser)
    ablation.add_options(parser)
    scale.add_options(parser)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # on SIGTERM, child processes are ended as well
    results = {}
    for name in arguments.names or BENCHMARKS:
        run = importlib.import_module(f"benchmarks.{name}").run
        rows = run(arguments) if name in WITH_OPTIONS else run()
        results[name] = [row.as_json() for row in rows]
        if not arguments.json:
            print_table(BENCHMARKS[name], rows)
        if arguments.docs:
            page = with_table(PAGE.read_text(encoding="utf-8"), name, BENCHMARKS[name], rows)
            PAGE.write_text(page, encoding="utf-8")
    if arguments.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()

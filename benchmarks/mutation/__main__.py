"""`python -m benchmarks.mutation [GROUP ...]`: how many small faults in the core the tests notice.

A mutant is a module with one fault: `<` becomes `<=`, `and` becomes `or`, a number changes by 1, a statement is left
out. It is killed if a test of its group fails or does not end. The mutants are a sample, which is the same for the
same seed and sources. Everything runs in copies of the tree, and the processes of a mutant's tests are ended with it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.mutation.groups import GROUPS
from benchmarks.mutation.run import Verdict, copied, end_processes, run, seconds_allowed
from benchmarks.mutation.sample import sampled
from benchmarks.report import Row, print_table

LEAST_SCORE = 0.9


def main() -> None:
    arguments = _parser().parse_args()
    names = arguments.groups or list(GROUPS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # on SIGTERM, the tests under way are ended as well
    deadline = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [copied(Path(folder) / str(number)) for number in range(arguments.jobs)]
        try:
            limits = {name: seconds_allowed(name, copies[0]) for name in names}
            mutants = sampled(names, arguments.sample, arguments.seed)
            verdicts = []
            for verdict in run(mutants, limits, copies, deadline):
                verdicts.append(verdict)
                print(f"{len(verdicts)}/{len(mutants)} {_line(verdict)}", file=sys.stderr, flush=True)
        finally:
            end_processes(Path(folder))
    report(names, verdicts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--sample", type=int, default=60, help="mutants of each group (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=28, help="no mutant starts later (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at the same time (default: %(default)s)")
    return parser


def report(names: Iterable[str], verdicts: Sequence[Verdict]) -> None:
    """Print the score of each group, and the mutants that survived."""
    print_table("Mutants that the tests kill", [_row(name, verdicts) for name in [*names, "all"]])
    ordered = sorted(verdicts, key=lambda verdict: (verdict.mutant.path, verdict.mutant.line))
    survivors = [_line(verdict) for verdict in ordered if not verdict.killed]
    print("\n".join(survivors or ["No mutant survived."]))


def _row(name: str, verdicts: Sequence[Verdict]) -> Row:
    of_group = [verdict.killed for verdict in verdicts if name in (verdict.group, "all")]
    share = sum(of_group) / len(of_group) if of_group else None
    ours = f"{sum(of_group)} of {len(of_group)}"
    return Row(name, ours, "", share, f">= {LEAST_SCORE:g}", None if share is None else share >= LEAST_SCORE)


def _line(verdict: Verdict) -> str:
    mutant = verdict.mutant
    fate = "killed" if verdict.killed else "SURVIVED"
    return f"{fate} {mutant.path}:{mutant.line}: {mutant.before} -> {mutant.after}"


if __name__ == "__main__":
    main()

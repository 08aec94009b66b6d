"""`python -m benchmarks.mutation [GROUP ...]`: how many small faults in the core the tests notice.

A mutant is a module with one fault: `<` becomes `<=`, `and` becomes `or`, a number changes by 1, a statement is left
out. It is killed if a test of its group fails or does not end. The mutants are a sample, which is the same for the
same seed and sources. Everything runs in copies of the tree, and the processes of a mutant's tests are ended with it.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.mutation.groups import GROUPS
from benchmarks.mutation.run import Fate, Verdict, run
from benchmarks.mutation.sample import sampled
from benchmarks.mutation.selection import Baseline
from benchmarks.mutation.workbench import Workbench, baseline, copied
from benchmarks.report import Row, print_table

LEAST_SCORE = 0.9


def main() -> None:
    arguments = _parser().parse_args()
    names = arguments.groups or list(GROUPS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # on SIGTERM, the tests under way are ended as well
    deadline = time.monotonic() + 60 * arguments.minutes
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ExitStack() as stack:
        benches, baselines = prepared(Path(folder), names, arguments.jobs, stack)
        mutants = sampled(names, arguments.sample, arguments.seed)
        for verdict in run(mutants, baselines, benches, deadline):
            verdicts.append(verdict)
            print(f"{len(verdicts)}/{len(mutants)} {_line(verdict)}", file=sys.stderr, flush=True)
    report(names, verdicts, len(mutants))


def prepared(
    folder: Path, names: Sequence[str], jobs: int, stack: ExitStack
) -> tuple[list[Workbench], dict[str, Baseline]]:
    """Return a workbench for each job, to be closed by the stack, and the groups without a fault."""
    folders = [copied(folder / "0")]
    benches = [opened(folders[0], stack)]
    libraries = benches[0].libraries(names)
    benches[0].load(libraries)
    baselines = {name: baseline(name, benches[0]) for name in names}
    for number in range(1, jobs):
        benches.append(opened(Path(shutil.copytree(folders[0], folder / str(number))), stack))
        benches[-1].load(libraries)
    return benches, baselines


def opened(folder: Path, stack: ExitStack) -> Workbench:
    bench = Workbench(folder)
    stack.callback(bench.close)
    return bench


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--sample", type=int, default=60, help="mutants of each group (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=28, help="no mutant starts later (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at the same time (default: %(default)s)")
    return parser


def report(names: Iterable[str], verdicts: Sequence[Verdict], count: int) -> None:
    """Print the score of each group, the mutants that survived or are equivalent, and how many of `count` are left."""
    print_table("Mutants that the tests kill", [_row(name, verdicts) for name in [*names, "all"]])
    ordered = sorted(verdicts, key=lambda verdict: (verdict.mutant.path, verdict.mutant.line))
    others = [_line(verdict) for verdict in ordered if verdict.fate is not Fate.KILLED]
    if len(verdicts) < count:
        others.append(f"{count - len(verdicts)} of {count} mutants were not judged in time: allow more with --minutes.")
    print("\n".join(others or ["No mutant survived."]))


def _row(name: str, verdicts: Sequence[Verdict]) -> Row:
    fates = [verdict.fate for verdict in verdicts if name in (verdict.group, "all")]
    killed, equivalent = fates.count(Fate.KILLED), fates.count(Fate.EQUIVALENT)
    judged = len(fates) - equivalent
    share = killed / judged if judged else None
    ours = f"{killed} of {judged}" + (f", and {equivalent} equivalent" if equivalent else "")
    return Row(name, ours, "", share, f">= {LEAST_SCORE:g}", None if share is None else share >= LEAST_SCORE)


def _line(verdict: Verdict) -> str:
    mutant = verdict.mutant
    why = f" ({verdict.why})" if verdict.why else ""
    return f"{verdict.fate} {mutant.path}:{mutant.line}: {mutant.before} -> {mutant.after}{why}"


if __name__ == "__main__":
    main()

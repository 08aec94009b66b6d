"""Searches as a JSON document, and the table of the documentation made of it.

`python -m benchmarks.search_results FILE` puts the tables into docs/benchmarks.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from searchsvc.benchmarks import (
    MARK,
    ProblemFacts,
    Quartiles,
    RunKey,
    Score,
    Search,
    Trajectory,
    TrajectoryKind,
    scores,
    targets,
)
from searchsvc.domain import Objective

PAGE = Path(__file__).parents[1] / "docs/benchmarks.md"
BEGIN, END = "<!-- search results: begin -->", "<!-- search results: end -->"
COLUMNS = (
    *("algorithm", "batch", "seeds", "share to found", "share to chosen"),
    *("regret at 25", "at 50", "at 100", "chosen at 100", "s per proposal"),
)


@dataclass(slots=True)
class Results:
    """Searches by their keys, stored in a file if there is one."""

    path: Path | None
    facts: dict[str, ProblemFacts] = field(default_factory=dict)
    runs: dict[RunKey, Search] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | None) -> Results:
        """Return the results in the file, or no results if it does not exist yet."""
        if path is None or not path.exists():
            return cls(path)
        document = json.loads(path.read_text(encoding="utf-8"))
        facts = {
            name: ProblemFacts(Objective(metric=one["metric"], goal=one["goal"]), one["optimum"])
            for name, one in document["problems"].items()
        }
        return cls(path, facts, dict(_run(one) for one in document["runs"]))

    def write(self) -> None:
        """Write a line per search, so that files can be compared; the file is replaced atomically."""
        if self.path is None:
            return
        problems = {
            name: {"metric": one.objective.metric, "goal": one.objective.goal, "optimum": one.optimum}
            for name, one in sorted(self.facts.items())
        }
        lines = ",\n".join(json.dumps(_document(key, self.runs[key])) for key in sorted(self.runs))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(f'{{"problems": {json.dumps(problems)},\n"runs": [\n{lines}\n]}}\n', encoding="utf-8")
        partial.replace(self.path)

    @property
    def evaluations(self) -> int:
        """Return the number of evaluations per search, which is the same for all."""
        return next(iter(self.runs)).evaluations

    @property
    def mark(self) -> int:
        """Return the evaluations of the reference that set the target: 100, or fewer if the searches are shorter."""
        return min(MARK, self.evaluations)

    def scores(self) -> list[Score]:
        return scores(self.facts, self.runs, self.mark)

    def targets(self, problem: str) -> Mapping[TrajectoryKind, float]:
        """Return the values that the reference reaches, in the direction of the metric."""
        sign = self.facts[problem].objective.sign
        return {by: sign * value for by, value in targets(self.runs, problem, self.mark).items()}


def markdown(results: Results) -> str:
    """Return a table per problem, under a heading with its target."""
    return "\n".join(_tables(results))


def _tables(results: Results) -> Iterator[str]:
    scores = results.scores()
    for problem in dict.fromkeys(score.problem for score in scores):
        facts, target = results.facts[problem], results.targets(problem)
        yield (
            f"**{problem}**: {facts.objective.metric} {target['found']:.4g} found, {target['chosen']:.4g} chosen "
            f"by TPE at {results.mark}; the best is {facts.optimum:.4g}.\n"
        )
        yield f"| {' | '.join(COLUMNS)} |"
        yield "|---" * len(COLUMNS) + "|"
        ordered = sorted((score for score in scores if score.problem == problem), key=lambda one: one.found.median)
        yield from (_line(score) for score in ordered)
        yield ""


def _line(score: Score) -> str:
    regrets = [f"{score.regrets[at]:.3g}" if at in score.regrets else "" for at in (25, 50, 100)]
    last = f"{score.chosen_regrets[100]:.3g}" if 100 in score.chosen_regrets else ""
    cells = [score.algorithm, score.batch, score.seeds, _share(score.found), _share(score.chosen), *regrets, last]
    return f"| {' | '.join(map(str, cells))} | {score.seconds_per_evaluation:.2g} |"


def _share(quartiles: Quartiles) -> str:
    low, median, high = (f"{one:.2f}" if one < float("inf") else "∞" for one in asdict(quartiles).values())
    return f"{median} ({low} to {high})"


def _document(key: RunKey, run: Search) -> dict[str, Any]:
    """Return a search as JSON. Values are not rounded: equality with the target must survive the file."""
    return asdict(key) | {"found": run.found.steps, "chosen": run.chosen.steps, "seconds": round(run.seconds, 3)}


def _run(document: Mapping[str, Any]) -> tuple[RunKey, Search]:
    key = RunKey(*(document[name] for name in ("problem", "algorithm", "batch", "seed", "evaluations")))
    best, chosen = (Trajectory(tuple((at, value) for at, value in document[name])) for name in ("found", "chosen"))
    return key, Search(best, chosen, document["seconds"])


def between_marks(page: str, tables: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """Return the page with `tables` between its marks, in place of the previous tables."""
    begin, end = marks
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n{tables}{end}{after}"


if __name__ == "__main__":
    text = between_marks(PAGE.read_text(encoding="utf-8"), markdown(Results.read(Path(sys.argv[1]))))
    PAGE.write_text(text, encoding="utf-8")

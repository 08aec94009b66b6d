"""Benchmark problems with known answers, and the runner that compares algorithms on them."""

from searchsvc.benchmarks.comparison import (
    MARK,
    REFERENCE,
    ProblemFacts,
    Quartiles,
    RunKey,
    Score,
    TrajectoryKind,
    scores,
    targets,
)
from searchsvc.benchmarks.problems import (
    BenchmarkProblem,
    Limited,
    SeedNoise,
    Statement,
    Tabular,
    noisy_problem,
    table_of,
)
from searchsvc.benchmarks.runner import ProposerSearch, Search, Searcher, Trajectory, run_search
from searchsvc.benchmarks.tables import TABLES, BenchmarkTable

__all__ = [
    "MARK",
    "REFERENCE",
    "TABLES",
    "BenchmarkProblem",
    "BenchmarkTable",
    "Limited",
    "ProblemFacts",
    "ProposerSearch",
    "Quartiles",
    "RunKey",
    "Score",
    "Search",
    "Searcher",
    "SeedNoise",
    "Statement",
    "Tabular",
    "Trajectory",
    "TrajectoryKind",
    "noisy_problem",
    "run_search",
    "scores",
    "table_of",
    "targets",
]

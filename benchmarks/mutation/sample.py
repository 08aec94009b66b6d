"""The sample of mutants: the same for the same seed and sources."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path

from benchmarks.mutation.groups import GROUPS, ROOT
from benchmarks.mutation.mutants import Mutant, places_of


def sampled(names: Iterable[str], count: int, seed: int, root: Path = ROOT) -> list[tuple[str, Mutant]]:
    """Return up to `count` mutants of each group, the groups in turn: whenever it ends, all have as many verdicts."""
    chosen: dict[str, list[Mutant]] = {}
    for name in names:
        generator = random.Random(f"{seed} {name}")
        places = [
            place
            for path in GROUPS[name].paths(root)
            for place in places_of(path.relative_to(root), path.read_text(encoding="utf-8"))
        ]
        chosen[name] = [place.mutant(generator) for place in generator.sample(places, min(count, len(places)))]
    turns = zip_longest(*([(name, mutant) for mutant in mutants] for name, mutants in chosen.items()))
    return [each for turn in turns for each in turn if each is not None]

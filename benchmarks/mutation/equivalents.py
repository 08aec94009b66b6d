"""Mutants that no test can kill, since the module does the same: they count neither as killed nor as survivors."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.mutation.mutants import Mutant


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A line of a module, before and after the change, and why both do the same."""

    path: str
    before: str
    after: str
    reason: str


EQUIVALENTS: tuple[Equivalent, ...] = ()


def reason_of(mutant: Mutant) -> str | None:
    """Return why a mutant is equivalent, None if it is not known to be."""
    change = (mutant.path.as_posix(), mutant.before, mutant.after)
    return next((each.reason for each in EQUIVALENTS if change == (each.path, each.before, each.after)), None)

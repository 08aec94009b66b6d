"""Results in an order that does not depend on when repeats were answered."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class History(Generic[T]):
    """Items in the order in which their candidates were first told; what is told of one again follows it directly.

    A repeat that was answered from the store is told again at a moment that a replay cannot know to the ask. Here it
    makes no difference: the order depends only on the first tellings.
    """

    def __init__(self) -> None:
        self._orders: dict[str, int] = {}
        self._items: list[tuple[int, T]] = []

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return (item for _, item in self._items)

    def order(self, key: str) -> int:
        """The place of a candidate among all that were told, by its key."""
        return self._orders.setdefault(key, len(self._orders))

    def add(self, key: str, item: T) -> None:
        """Put in what was told of the candidate with this key."""
        insort(self._items, (self.order(key), item), key=_order)

    def last(self, count: int) -> Sequence[T]:
        """The `count` items whose candidates were first told last."""
        return [item for _, item in self._items[-count:]]


def _order(entry: tuple[int, object]) -> int:
    return entry[0]

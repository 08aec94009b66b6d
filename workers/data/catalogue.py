"""The datasets of one task: a table of those with a name, a table of formats of files, and what was read last."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any, Generic, TypeVar

from searchsvc.domain.spec import parse_section
from searchsvc.errors import InvalidInput
from workers.data.options import DatasetFormat, DatasetOptions, RawT

DatasetT = TypeVar("DatasetT")


class Catalogue(Generic[RawT, DatasetT]):
    """Finds, reads and splits what the dataset section of a spec describes."""

    def __init__(
        self,
        named: Mapping[str, DatasetFormat[Any, RawT]],
        formats: Mapping[str, DatasetFormat[Any, RawT]],
        split: Callable[[RawT, DatasetOptions], DatasetT],
        beside: Callable[[DatasetOptions], Hashable] = lambda _: None,
    ) -> None:
        """`beside`: the fingerprint of files that `split` reads beside those of the format."""
        self._tables = {"name": named, "format": formats}
        self._all = {**named, **formats}
        self._split, self._beside = split, beside
        self._kept = lru_cache(maxsize=2)(self._read)

    @property
    def descriptions(self) -> tuple[tuple[str, str], ...]:
        """Name or format, and one line about it, of all datasets."""
        return tuple((kind, entry.description) for kind, entry in self._all.items())

    def load(self, dataset: Mapping[str, Any]) -> DatasetT:
        """The dataset, read once per process while its files stay as they are.

        Raises InvalidInput (pointers into the section): unknown names and options, and whatever is wrong with the
        files.
        """
        kind, options = self.chosen(dataset)
        try:
            fingerprint = self._all[kind].fingerprint(options), self._beside(options)
            return self._kept(kind, options, fingerprint)
        except OSError as error:
            raise InvalidInput.at("/path", f"{error.filename} cannot be read: {error.strerror}") from None

    def raw(self, dataset: Mapping[str, Any]) -> RawT:
        """The dataset before it is split; read each time. Raises InvalidInput as `load` does."""
        kind, options = self.chosen(dataset)
        try:
            return self._all[kind].read(options)
        except OSError as error:
            raise InvalidInput.at("/path", f"{error.filename} cannot be read: {error.strerror}") from None

    def fingerprint(self, dataset: Mapping[str, Any]) -> Hashable:
        """Changes when the files of the dataset do. Raises InvalidInput where they are not there."""
        kind, options = self.chosen(dataset)
        return self._all[kind].fingerprint(options)

    def chosen(self, dataset: Mapping[str, Any]) -> tuple[str, DatasetOptions]:
        """The name or format of the section, and its options. Raises InvalidInput."""
        key = "format" if "format" in dataset else "name"
        table, kind = self._tables[key], dataset.get(key)
        if not isinstance(kind, str) or kind not in table:
            raise InvalidInput.at(f"/{key}", f"no dataset {key} {kind!r}; there are {', '.join(sorted(table))}")
        return kind, parse_section(table[kind].options, dataset)

    def _read(self, kind: str, options: DatasetOptions, fingerprint: Hashable) -> DatasetT:  # noqa: ARG002 - a key
        return self._split(self._all[kind].read(options), options)

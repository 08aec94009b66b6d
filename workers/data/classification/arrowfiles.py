"""Rows of Parquet and Arrow files, a column and a few rows at a time.

Nothing in a file is executed: types that a file defines are read as the plain values that they consist of, and arrays
are validated before they are used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, Final

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, open_confined
from workers.data.classification.shards import Shard
from workers.data.imagefiles import kind_of, printable

_ROWS: Final = 32
"""Most rows of images in memory at a time, if the file allows it."""
_PARQUET, _FILE, _STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
_END_OF_STREAM: Final = b"\xff\xff\xff\xff\0\0\0\0"
_BUFFER_BYTES: Final = 2**20
_BROKEN: Final = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    NotImplementedError,
    MemoryError,
    EOFError,
)
"""Errors over damaged files, apart from those that only pyarrow has."""


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a file."""

    columns: tuple[tuple[str, Any], ...]
    """Name and type (`pyarrow.DataType`) of each, in order."""
    metadata: Mapping[bytes, bytes]


def arrow() -> Any:
    """Return pyarrow with the modules that read tables."""
    import pyarrow.compute  # here: slow to import, and few datasets need it
    import pyarrow.ipc
    import pyarrow.parquet

    return pyarrow


def schema_of(shard: Shard) -> TableSchema:
    """Return the columns of a file. Raises InvalidInput."""
    pyarrow = arrow()
    with _readable(shard) as file:
        kind = _kind(file)
        if kind == _PARQUET:
            schema = pyarrow.parquet.ParquetFile(file, pre_buffer=False).schema_arrow
        else:
            schema = (pyarrow.ipc.open_file if kind == _FILE else pyarrow.ipc.open_stream)(file).schema
        for field in schema:
            str(field.type)  # names are decoded here, where those that are no text can be refused
        return TableSchema(tuple((field.name, field.type) for field in schema), schema.metadata or {})


def parts_of(shard: Shard, column: str) -> Iterator[Any]:
    """Yield the values of a column as arrays (`pyarrow.Array`) of a few rows each. Raises InvalidInput."""
    with _readable(shard) as file:
        kind = _kind(file)
        parts = _of_parquet(file, column) if kind == _PARQUET else _of_arrow(file, column, kind)
        for whole in parts:
            whole.validate(full=True)
            values = _plain(whole)
            for start in range(0, len(values), _ROWS):
                yield values.slice(start, _ROWS)


def _of_parquet(file: BufferedReader, column: str) -> Iterator[Any]:
    pyarrow = arrow()
    table = pyarrow.parquet.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER_BYTES)
    for group in range(table.num_row_groups):
        for batch in table.iter_batches(_ROWS, row_groups=[group], columns=[column], use_threads=False):
            yield batch.column(column)


def _of_arrow(file: BufferedReader, column: str, kind: bytes) -> Iterator[Any]:
    pyarrow = arrow()
    is_file = kind == _FILE
    start = pyarrow.ipc.open_file if is_file else pyarrow.ipc.open_stream
    place = start(file).schema.get_field_index(column)
    file.seek(0)
    options = pyarrow.ipc.IpcReadOptions(included_fields=[place], use_threads=False)
    table = start(file, options=options)
    batches = map(table.get_batch, range(table.num_record_batches)) if is_file else table
    for batch in batches:
        yield batch.column(column)


def _plain(values: Any) -> Any:
    """Return the values without the dictionary, or the type of an extension, that they are stored in."""
    pyarrow = arrow()
    if isinstance(values, pyarrow.ExtensionArray):
        values = values.storage
    return values.dictionary_decode() if pyarrow.types.is_dictionary(values.type) else values


@contextmanager
def _readable(shard: Shard) -> Iterator[BufferedReader]:
    """Open a file; errors of its reader within the context become InvalidInput."""
    try:
        with open_confined(shard.path, shard.within) as file:
            yield file
    except UnsafeFile as error:
        raise _wrong(shard, f"is not read: {error.strerror}") from None
    except InvalidInput as error:
        raise _wrong(shard, error.faults[0].message) from None
    except (*_BROKEN, arrow().ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
            raise _wrong(shard, f"cannot be read: {error.strerror}") from error
        reason = printable(str(error).partition("\n")[0]) or type(error).__name__
        raise _wrong(shard, f"cannot be read: {reason}; fetch it or save it again") from error


def _kind(file: BufferedReader) -> bytes:
    """Return the beginning that tells the kind of a file. Raises InvalidInput if it is of another kind, or cut off."""
    start, size = file.read(32), os.fstat(file.fileno()).st_size
    kind = next((one for one in (_PARQUET, _FILE, _STREAM) if start.startswith(one)), None)
    if kind is None:
        found = kind_of(start) if start else "it is empty (0 bytes)"
        raise InvalidInput.at("/path", f"is neither Parquet nor Arrow: {found or 'its first bytes are of neither'}")
    end = {_PARQUET: _PARQUET, _FILE: _FILE, _STREAM: _END_OF_STREAM}[kind]
    file.seek(max(0, size - len(end)))
    if file.read() != end:
        raise InvalidInput.at("/path", "is cut off, or was not closed by its writer: fetch it or save it again")
    file.seek(0)
    return kind


def _wrong(shard: Shard, message: str) -> InvalidInput:
    return InvalidInput.at("/path", f"{printable(shard.name)} {message}")

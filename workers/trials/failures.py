"""The kind of failure that an exception of a trial means, decided without importing torch."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator

from searchsvc.errors import FailureKind, SearchsvcError, TrialFailed

_STORAGE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE})
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""The system's error number in messages of libraries written in Rust, such as safetensors."""
_TORN_WRITE = re.compile(
    r"inline_container\.cc.*(unexpected pos|failed writing)|PytorchStreamWriter failed writing"  # torch.save to a path
    r"|^\d+ requested and \d+ written$"  # numpy.save
)
"""Messages of libraries that report a failed write without the system's error number."""


def explained(error: BaseException) -> tuple[FailureKind, str]:
    """Return (kind, message) of an exception; an unexpected error has its traceback as message."""
    if isinstance(error, TrialFailed):
        return error.kind, str(error)
    if is_storage_failure(error):
        return FailureKind.STORAGE, "".join(traceback.format_exception(error))
    if isinstance(error, SearchsvcError):
        return FailureKind.ERROR, f"{type(error).__name__}: {error}"
    kind = FailureKind.OUT_OF_MEMORY if _is_out_of_memory(error) else FailureKind.ERROR
    return kind, "".join(traceback.format_exception(error))


def is_storage_failure(error: BaseException) -> bool:
    """True if a file system that is full, read-only or broken caused an error, directly or along its chain."""
    return any(_is_of_storage(link) for link in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the errors that led to it."""
    pending, seen = [error], set[int]()
    while pending:
        link = pending.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            pending += link.exceptions
        context = None if link.__suppress_context__ else link.__context__
        pending += [earlier for earlier in (link.__cause__, context) if earlier is not None]


def _is_of_storage(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _STORAGE
    text = str(error)
    numbers = {int(number) for number in _OS_ERROR.findall(text)}
    return bool(numbers & _STORAGE) or _TORN_WRITE.search(text) is not None


def _is_out_of_memory(error: BaseException) -> bool:
    """True if an error means that memory is exhausted.

    torch raises OutOfMemoryError on a GPU, and a plain RuntimeError on the host.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    on_host = "RuntimeError" in names and "DefaultCPUAllocator: can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or "OutOfMemoryError" in names or on_host

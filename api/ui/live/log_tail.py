"""The end of a trial's log, followed while it is written; only new text is read."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from searchsvc.domain import Event
from searchsvc.errors import NotFound
from searchsvc.service.service import Service

LOG_LINES = 400
LOG_SECONDS = 1.0
_LONGEST_LINE = 2000


@dataclass(frozen=True, slots=True)
class LogTail:
    """The last lines of a log."""

    first: int
    """Number of the first line, counted from 0 at the line at which following began."""
    lines: tuple[str, ...]


@dataclass(slots=True)
class LogReader:
    """Reader of the log of a trial. A log that becomes shorter, as after a deletion, is read from its beginning."""

    service: Service
    trial_id: str
    _end: int | None = None
    _count: int = 0
    _lines: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    _open: str = ""
    """The last line if it is still incomplete."""
    _is_over: bool = False
    """True if the trial has ended and its log has been read: nothing is read until an event names the trial."""

    def read(self, events: Sequence[Event] | None) -> LogTail:
        """Read new lines. Raises StoreUnavailable, and NotFound if the trial is deleted."""
        self._is_over = self._is_over and not any(event.trial_id == self.trial_id for event in events or ())
        if not self._is_over and not self._read():
            self._is_over = self.service.trials.get(self.trial_id).state.is_final
        return LogTail(self._count - len(self._lines), tuple(self._lines))

    def _read(self) -> bool:
        """Read new text and return whether there was any."""
        try:
            lines = LOG_LINES if self._end is None else None
            part = self.service.trials.log(self.trial_id, offset=self._end, lines=lines)
        except NotFound:  # the log or the trial is absent; the caller finds out which
            return False
        if self._end is not None and part.end < self._end:
            self._end, self._open = 0, ""
            return True
        self._end = part.end
        is_new = bool(part.text or self._open)
        if is_new:
            self._take(part.text)
        return is_new

    def _take(self, text: str) -> None:
        """Append lines. An incomplete line is appended once nothing follows it."""
        *ended, rest = (self._open + text).split("\n")
        if not text:
            ended, rest = [self._open], ""
        self._open = rest
        self._lines.extend(one[:_LONGEST_LINE] for one in ended)
        self._count += len(ended)

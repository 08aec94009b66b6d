"""The seam between the client and the source of its answers: the network, or the API inside this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to a service."""

    method: str
    target: str
    """Path and query, percent-encoded."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # they hold the token
    body: bytes | None = None
    timeout_seconds: float = 60.0
    """Longest silence of the service, at the start and between the parts of an answer."""


class Answer(Protocol):
    """An HTTP response whose body is read as it arrives. Must be closed."""

    status: int
    reason: str

    def header(self, name: str) -> str | None:
        """Return a header, or None if the answer lacks it."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces, each as soon as it arrives. Raises ConnectionLost."""
        ...

    def close(self) -> None:
        """Stop reading."""
        ...


class Transport(Protocol):
    """A way to send requests to a service; several threads may send at the same time."""

    address: str
    """The URL of the service, without a slash at the end."""

    def send(self, request: Request) -> Answer:
        """Send a request and wait for the start of the answer. Raises ConnectionLost."""
        ...

    def close(self) -> None:
        """Release all resources of the transport."""
        ...


class ConnectionLost(Exception):
    """The service could not be reached, or went away before the answer was complete."""

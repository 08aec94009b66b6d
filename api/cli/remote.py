"""Requests to a service over the network, by the standard library alone.

Every command of searchctl starts with this, so it must load quickly: httpx, with its connection pools and certificates,
takes longer to import than most commands take to run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from api.cli.transport import Answer, ConnectionLost, Request

_CONNECT_SECONDS = 5.0
_CHUNK_BYTES = 1 << 16


class RemoteTransport:
    """Sends each request over a connection of its own, through the proxy that the environment names."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._url = urlsplit(self.address)

    def send(self, request: Request) -> Answer:
        """Send a request and wait for the start of the answer. Raises ConnectionLost."""
        try:
            connection, prefix = _connection(self._url)
        except (OSError, HTTPException, ValueError) as error:
            raise ConnectionLost(str(error)) from error
        try:
            connection.sock.settimeout(request.timeout_seconds)
            connection.request(request.method, prefix + request.target, request.body, dict(request.headers))
            return _RemoteAnswer(connection, connection.getresponse())
        except (OSError, HTTPException) as error:
            connection.close()
            raise ConnectionLost(str(error)) from error

    def close(self) -> None:
        """Do nothing: connections end with their answers."""


class _RemoteAnswer:
    """A response and its connection."""

    def __init__(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        self._connection, self._response = connection, response
        self.status, self.reason = response.status, response.reason

    def header(self, name: str) -> str | None:
        return self._response.getheader(name)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces. Raises ConnectionLost, also if the body is shorter than announced."""
        try:
            while chunk := self._response.read1(_CHUNK_BYTES):
                yield chunk
        except (OSError, HTTPException) as error:
            raise ConnectionLost(str(error)) from error
        if self._response.length:
            raise ConnectionLost(f"the answer ended {self._response.length} bytes early")

    def close(self) -> None:
        self._response.close()
        self._connection.close()


def _connection(url: SplitResult) -> tuple[HTTPConnection, str]:
    """Return an open connection, and what precedes the path in its requests."""
    if not url.hostname:
        raise ValueError(f"{url.geturl()!r} is not the address of a service: write http://HOST:PORT")
    secure = url.scheme == "https"
    proxy = _proxy(url)
    near = proxy or url
    kind = HTTPSConnection if secure else HTTPConnection
    connection = kind(near.hostname or "", near.port, timeout=_CONNECT_SECONDS)
    prefix = url.path
    if proxy and secure:
        connection.set_tunnel(url.hostname, url.port)
    elif proxy:
        prefix = url.geturl()
    connection.connect()
    return connection, prefix


def _proxy(url: SplitResult) -> SplitResult | None:
    """Return the proxy for this address, or None if it is reached directly."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # slow to load, rarely needed

    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.netloc):
        return None
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")

"""Middleware for every request: the check of its Host, and the headers of the response."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import kind_of_status
from api.rest.errors import SECURITY_HEADERS, problem

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class SecurityHeaders:
    """Adds the security headers that a response does not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)


class HostCheck:
    """Refuses requests for host names other than those of this service.

    A page in the user's browser can make its own domain name point to 127.0.0.1 and then send requests to us (DNS
    rebinding); the Host header reveals it.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self.app, self.names = app, frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _name(Headers(scope=scope).get("host", "")) not in self.names:
            request = Request(scope)
            answer = problem(request, kind_of_status(421), f"this service answers as {', '.join(sorted(self.names))}")
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


def allowed_hosts(host: str) -> frozenset[str] | None:
    """Return the host names that a service listening on `host` accepts; None for any name."""
    if host.lower() == "localhost" or _is_loopback(host):
        return LOCAL_NAMES | {host.lower()}
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """Return the host name without the port: `::1` for `[::1]:8700`."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower() if "]" in host else ""
    return host.partition(":")[0].lower()

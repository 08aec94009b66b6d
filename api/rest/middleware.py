"""What holds for every request before a route sees it: the Host it names, the headers of every answer."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.rest.errors import SECURITY_HEADERS, kind_of_status, problem

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class SecurityHeaders:
    """Adds the headers that an answer does not set itself."""

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
    """Refuses requests that name another host than this one.

    A page in the user's browser can make a name of its own point to 127.0.0.1 and then talk to us as that name (DNS
    rebinding); the Host header gives it away.
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


def names_of(host: str) -> frozenset[str] | None:
    """The names by which a service that listens on `host` may be asked; None: by any."""
    if host.lower() == "localhost" or _is_loopback(host):
        return LOCAL_NAMES | {host.lower()}
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """`Host` without the port: `[::1]:8700` is ::1."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower() if "]" in host else ""
    return host.partition(":")[0].lower()

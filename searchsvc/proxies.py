"""HTTP proxies: which one the environment names for a request, and which requests never take one.

Variables: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; in lower case they win. A request to this machine takes no
proxy, whatever the variables say: a proxy could not reach it in our place. Needs nothing but the standard library, and
loads more only if a variable is set (docs/decisions/0011-a-light-client.md).
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
"""Variables that name a proxy for the programs that we start, in lower case."""
_EXEMPTIONS = ("no_proxy", "no_grpc_proxy")
_HERE = ("localhost", "127.0.0.1", "::1")
_RESOLVE_SECONDS = 2.0
"""Time for the address of a name: behind a proxy, a machine may have no name server that answers."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def proxy_for(scheme: str, host: str, port: int, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the URL of the proxy for a request, or None if the request goes directly.

    `scheme`: http or https. `host`: a name or an address, without brackets.
    """
    proxy = variable(f"{scheme}_proxy", environment) or variable("all_proxy", environment)
    if not proxy or is_exempt(host, port, variable("no_proxy", environment)) or is_here(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def variable(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the value of a variable, whose name is given in lower case; empty if it is not set.

    The lower case wins. HTTP_PROXY counts for nothing in a CGI program, where a request can set it.
    """
    if name in environment:
        return environment[name].strip()
    if name == "http_proxy" and "REQUEST_METHOD" in environment:
        return ""
    return environment.get(name.upper(), "").strip()


def is_exempt(host: str, port: int, exemptions: str) -> bool:
    """Return whether NO_PROXY exempts a host.

    Entries are separated by commas or blanks: a domain, which covers its hosts; an address; a network such as
    10.0.0.0/8; each with or without a port; or `*` for all.
    """
    return any(_covers(entry, host.rstrip(".").lower(), port) for entry in re.split(r"[,\s]+", exemptions.lower()))


def is_here(host: str) -> bool:
    """Return whether a host is this machine: its loopback, or an address of one of its interfaces."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return any(map(_is_ours, [address] if address is not None else _resolved(name)))


def without_proxy(environment: Mapping[str, str], hosts: Iterable[str] = ()) -> dict[str, str]:
    """Return the variables by which the programs that we start reach this machine and `hosts` without a proxy.

    Empty if no proxy is set. gRPC, on which Ray is built, reads the lower case only; other programs prefer the upper.
    """
    if not any(variable(name, environment) for name in VARIABLES):
        return {}
    values: dict[str, str] = {}
    for name in _EXEMPTIONS:
        entries = [entry for entry in re.split(r"[,\s]+", variable(name, environment)) if entry]
        if name != "no_proxy" and not entries:
            continue  # gRPC falls back to no_proxy
        merged = ",".join(dict.fromkeys((*entries, *_HERE, *hosts)))
        values |= {name: merged, name.upper(): merged}
    return values


def without_password(proxy: str) -> str:
    """Return the URL of a proxy for messages, without its user and password."""
    return re.sub(r"(//|^)[^/]*@", r"\1", proxy)


def _covers(entry: str, host: str, port: int) -> bool:
    if entry in ("", "*"):
        return entry == "*"
    entry, wanted_port = _split(entry)
    if wanted_port not in (None, port):
        return False
    address = _address(host)
    if address is not None:
        with suppress(ValueError):
            return address in ipaddress.ip_network(entry, strict=False)
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _split(entry: str) -> tuple[str, int | None]:
    """Split a port off an entry of NO_PROXY. An IPv6 address with a port stands in brackets."""
    match = re.fullmatch(r"\[([^]]*)](?::(\d+))?|([^:]*):(\d+)", entry)
    if match is None:
        return entry, None
    port = match[2] or match[4]
    return match[1] if match[1] is not None else match[3], None if port is None else int(port)


def _address(host: str) -> _Address | None:
    """Return the address that a host is written as, also in forms such as `127.1`; None for a name."""
    text = host.strip("[]").partition("%")[0]
    with suppress(ValueError):
        address = ipaddress.ip_address(text)
        return getattr(address, "ipv4_mapped", None) or address
    if re.fullmatch(r"[0-9a-fx.]+", text) and text[0].isdigit():
        with suppress(OSError):
            return ipaddress.IPv4Address(socket.inet_aton(text))
    return None


def _resolved(name: str) -> list[_Address]:
    """Return the addresses of a name; none if nobody knows it in time."""
    found: list[str] = []

    def look() -> None:
        with suppress(OSError, UnicodeError):
            found.extend(str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))

    thread = threading.Thread(target=look, name="address of a host", daemon=True)
    thread.start()
    thread.join(_RESOLVE_SECONDS)
    return [address for text in list(found) if (address := _address(text)) is not None]


def _is_ours(address: _Address) -> bool:
    if address.is_loopback or address.is_unspecified:
        return True
    import psutil  # needed only behind a proxy

    return any(_address(one.address) == address for ones in psutil.net_if_addrs().values() for one in ones)

"""Requests to a service over the network, by the standard library alone.

Every command of searchctl starts with this module, so it must load quickly: importing httpx takes longer than most
commands take to run (docs/decisions/0011-a-light-client.md).
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from importlib import import_module
from urllib.parse import quote, unquote, urlsplit

from api.cli.transport import Answer, ConnectionLost, Request
from searchsvc import proxies

_CONNECT_SECONDS = 5.0
_CHUNK_BYTES = 1 << 16
_PORTS = {"http": 80, "https": 443}
_PROXY_PORTS = {**_PORTS, **dict.fromkeys(("socks", "socks4", "socks4a", "socks5", "socks5h"), 1080)}


class RemoteTransport:
    """Sends each request over its own connection, through a proxy if the environment sets one."""

    def __init__(self, address: str) -> None:
        """`address`: `http://` or `https://`, host, port and path prefix; `user:password@` is sent as basic auth."""
        self._url = address.rstrip("/")
        self.address = re.sub(r"//[^/@]*@", "//", self._url)  # shown in messages: without the password

    def send(self, request: Request) -> Answer:
        """Send a request and wait for the start of the answer. Raises ConnectionLost."""
        connection: HTTPConnection | None = None
        try:
            site = _Site.parse(self._url)
            proxy = _proxy(site)
            headers = {"User-Agent": "searchctl", **request.headers, **_authorization("Authorization", site)}
            prefix = site.path
            connection = self._connection(site, proxy)
            if proxy is not None and site.scheme == "http" and not proxy.is_socks:
                headers |= _authorization("Proxy-Authorization", proxy)
                prefix = f"http://{site.netloc}{site.path}"
            if proxy is not None and proxy.is_socks:
                self._connect_through_socks(connection, proxy, site)
            else:
                connection.connect()
            connection.sock.settimeout(request.timeout_seconds)
            connection.request(request.method, prefix + request.target, request.body, headers)
            return _RemoteAnswer(connection, connection.getresponse())
        except (OSError, HTTPException, ValueError) as error:
            if connection is not None:
                connection.close()
            raise ConnectionLost(str(error)) from error

    def close(self) -> None:
        """Do nothing: connections end with their answers."""

    def _connection(self, site: _Site, proxy: _Site | None) -> HTTPConnection:
        """Prepare a connection to the service or to the proxy. Raises ValueError if the proxy cannot be used."""
        if proxy is not None and proxy.is_socks:
            proxy = None  # it forwards bytes, and reads no HTTP
        near = proxy or site
        if proxy is not None and site.scheme == "https":
            if proxy.scheme == "https":
                raise ValueError(f"the proxy {proxy.netloc} cannot be used: an https:// service needs an http:// proxy")
            tunnel = HTTPSConnection(near.host, near.port, timeout=_CONNECT_SECONDS, context=self._certificates)
            tunnel.set_tunnel(site.host, site.port, _authorization("Proxy-Authorization", proxy))
            return tunnel
        if near.scheme == "https":
            return HTTPSConnection(near.host, near.port, timeout=_CONNECT_SECONDS, context=self._certificates)
        return HTTPConnection(near.host, near.port, timeout=_CONNECT_SECONDS)

    def _connect_through_socks(self, connection: HTTPConnection, proxy: _Site, site: _Site) -> None:
        connection.sock = _through_socks(proxy, site)
        if site.scheme == "https":
            connection.sock = self._certificates.wrap_socket(connection.sock, server_hostname=site.host)

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        """The trusted authorities: those of SSL_CERT_FILE or SSL_CERT_DIR; otherwise the system's and certifi's."""
        context = ssl.create_default_context()
        if os.environ.keys().isdisjoint(("SSL_CERT_FILE", "SSL_CERT_DIR")):
            import certifi  # needed only for https://

            context.load_verify_locations(certifi.where())
        return context


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


@dataclass(frozen=True, slots=True)
class _Site:
    """The parts of the address of a service or a proxy."""

    scheme: str
    host: str
    port: int
    path: str
    """Prefix of all paths, percent-encoded, without a slash at the end."""
    user: str | None
    password: str | None

    @classmethod
    def parse(cls, address: str, ports: Mapping[str, int] = _PORTS) -> _Site:
        """Split an address of one of the schemes in `ports`, whose values are default ports. Raises ValueError."""
        url = urlsplit(address)
        if url.scheme not in ports or not url.hostname:
            shown = proxies.without_password(address)
            forms = " or ".join(f"{scheme}://HOST:PORT" for scheme in ports)
            raise ValueError(f"{shown!r} cannot be used: write {forms}")
        path = quote(url.path, safe="/%:@!$&'()*+,;=~")
        user, password = (part and unquote(part) for part in (url.username, url.password))
        return cls(url.scheme, url.hostname, url.port or ports[url.scheme], path, user, password)

    @property
    def netloc(self) -> str:
        """Host and port; the port is left out if it is the default of the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")


def _authorization(header: str, site: _Site) -> dict[str, str]:
    """Return the header with the user and password in an address, or no header if the address has none."""
    if not site.user and not site.password:
        return {}
    return {header: "Basic " + b64encode(f"{site.user or ''}:{site.password or ''}".encode()).decode()}


def _proxy(site: _Site) -> _Site | None:
    """Return the proxy that the environment names for a service; None for this machine. Raises ValueError."""
    proxy = proxies.proxy_for(site.scheme, site.host, site.port)
    return None if proxy is None else _Site.parse(proxy, _PROXY_PORTS)


def _through_socks(proxy: _Site, site: _Site) -> socket.socket:
    """Connect to a service through a SOCKS proxy. Raises ValueError if the package for that is missing, and OSError."""
    try:
        socks = import_module("socks")  # an optional package
    except ImportError:
        message = f"the proxy {proxy.scheme}://{proxy.netloc} needs the package PySocks: pip install PySocks"
        raise ValueError(f"{message}; without the proxy: NO_PROXY={site.host}") from None
    names_there = proxy.scheme not in ("socks4", "socks5")  # the proxy resolves names: socks4a, socks5h, socks
    connection: socket.socket = socks.create_connection(
        (site.host, site.port),
        timeout=_CONNECT_SECONDS,
        proxy_type=socks.SOCKS4 if proxy.scheme.startswith("socks4") else socks.SOCKS5,
        proxy_addr=proxy.host,
        proxy_port=proxy.port,
        proxy_rdns=names_there,
        proxy_username=proxy.user,
        proxy_password=proxy.password,
    )
    return connection

"""Proxies of requests, by the variables of the environment."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import psutil
import pytest

from searchsvc import proxies

OWN = next(
    (
        one.address
        for name, ones in psutil.net_if_addrs().items()
        for one in ones
        if one.family is socket.AF_INET and not one.address.startswith("127.")
    ),
    None,
)
PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.1",
        "127.9.9.9",
        "127.1",
        "0x7f.1",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::",
    ],
)
def test_no_request_to_the_loopback_takes_a_proxy(host: str) -> None:
    environment = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"), PROXY)
    assert proxies.proxy_for("http", host, 8700, environment) is None
    assert proxies.proxy_for("https", host, 8700, environment) is None


@pytest.mark.skipif(OWN is None, reason="this machine has no other address than the loopback")
def test_an_address_of_this_machine_takes_no_proxy() -> None:
    assert OWN is not None
    assert proxies.proxy_for("http", OWN, 8700, {"HTTP_PROXY": PROXY}) is None


def test_a_name_that_leads_to_this_machine_takes_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"here": "127.0.0.1", "there": "192.0.2.7"}

    def look(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if name not in found:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found[name], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    reached = {name: proxies.proxy_for("http", name, 80, {"HTTP_PROXY": PROXY}) for name in (*found, "unknown")}
    assert reached == {"here": None, "there": PROXY, "unknown": PROXY}


@pytest.mark.parametrize(
    ("scheme", "environment", "proxy"),
    [
        ("http", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("http", {"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:1"}, "http://p:1"),
        ("http", {"http_proxy": "", "HTTP_PROXY": "http://q:1"}, None),
        ("http", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https", {"ALL_PROXY": "socks5h://p"}, "socks5h://p"),
        ("http", {"http_proxy": "p:1"}, "http://p:1"),
        ("http", {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, None),
        ("http", {"grpc_proxy": "http://p:1"}, None),
        ("http", {}, None),
    ],
)
def test_the_variables_name_the_proxy_of_a_remote_service(
    scheme: str, environment: Mapping[str, str], proxy: str | None
) -> None:
    assert proxies.proxy_for(scheme, "192.0.2.7", 8700, environment) == proxy


@pytest.mark.parametrize(
    ("exemptions", "host", "is_exempt"),
    [
        ("*", "example.org", True),
        ("example.org", "example.org", True),
        ("example.org", "a.example.org", True),
        (".example.org", "a.example.org", True),
        ("*.example.org", "a.example.org", True),
        ("example.org", "anexample.org", False),
        ("example.org:8700", "example.org", True),
        ("example.org:80", "example.org", False),
        ("a, EXAMPLE.org  b", "Example.ORG.", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "ten.example.org", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7:8700", "192.0.2.7", True),
        ("2001:db8::/32", "2001:db8::7", True),
        ("[2001:db8::7]", "2001:db8:0::7", True),
        ("[2001:db8::7]:8700", "2001:db8::7", True),
        ("[2001:db8::7]:80", "2001:db8::7", False),
        ("", "example.org", False),
        (",", "example.org", False),
    ],
)
def test_no_proxy_exempts_hosts_domains_addresses_and_networks(exemptions: str, host: str, is_exempt: bool) -> None:
    assert proxies.is_exempt(host, 8700, exemptions) is is_exempt


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy", "grpc_proxy"])
def test_programs_that_we_start_reach_this_machine_and_ray_directly(name: str) -> None:
    assert proxies.without_proxy({name: PROXY, "NO_PROXY": "a.example"}, ["head"]) == dict.fromkeys(
        ("no_proxy", "NO_PROXY"), "a.example,localhost,127.0.0.1,::1,head"
    )


def test_the_exemptions_of_grpc_alone_are_kept() -> None:
    values = proxies.without_proxy({"http_proxy": PROXY, "no_grpc_proxy": "b.example"})
    assert values["no_grpc_proxy"] == "b.example,localhost,127.0.0.1,::1"


def test_without_a_proxy_nothing_is_set() -> None:
    assert proxies.without_proxy({"NO_PROXY": "a.example"}) == {}


@pytest.mark.parametrize(
    ("proxy", "shown"), [("http://me:p@ss@p:1", "http://p:1"), ("me:pass@p:1", "p:1"), ("http://p:1", "http://p:1")]
)
def test_a_proxy_is_shown_without_its_password(proxy: str, shown: str) -> None:
    assert proxies.without_password(proxy) == shown

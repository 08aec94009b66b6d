"""Probing the address of Ray: who answers, and why nobody does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.postgres import free_port
from workers.driver import connection


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def address_of(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def answer(server: socket.socket, data: bytes) -> threading.Thread:
    """Answer one greeting with `data`, then close the connection."""

    def serve() -> None:
        with server.accept()[0] as client:
            if client.recv(1024) and data:
                client.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_a_closed_port_refuses_connections() -> None:
    assert connection.problem_at(f"127.0.0.1:{free_port()}") == "connection refused"


def test_a_port_that_accepts_and_never_answers_is_no_ray(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PROBE_SECONDS", 0.1)
    assert connection.problem_at(address_of(server)) == "no answer within 0.1 s"


def test_a_server_that_hangs_up_is_no_ray(server: socket.socket) -> None:
    thread = answer(server, b"")
    assert connection.problem_at(address_of(server)) == "the connection was closed"
    thread.join()


def test_a_server_that_answers_the_greeting_may_be_ray(server: socket.socket) -> None:
    thread = answer(server, bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
    assert connection.problem_at(address_of(server)) is None
    thread.join()


def test_a_name_without_address_is_a_problem() -> None:
    assert connection.problem_at("no-such-host.invalid:6379") is not None


@pytest.mark.parametrize("address", ["auto", "ray://host:10001", "local", "host:port"])
def test_an_address_of_another_form_is_left_to_ray(address: str) -> None:
    assert connection.problem_at(address) is None

"""The client: streams that break and continue, an app inside the process, downloads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from api.cli.client import Client, parsed_events, path_of
from api.cli.exits import ProblemReceived, Unreachable
from api.cli.local_transport import LocalTransport
from api.cli.remote import RemoteTransport
from api.cli.transport import Request


class Breaking(BaseHTTPRequestHandler):
    """Sends an event per connection and breaks off; the third connection ends properly."""

    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        last = self.headers["Last-Event-ID"]
        self.asked.append(last)
        number = int(last or 0) + 1
        body = f': ping\nretry: 10\n\nid: {number}\ndata: {{"n":\ndata:  {number}}}\n\n'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + (0 if number == 3 else 10)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[Client]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with Client(RemoteTransport(f"http://127.0.0.1:{server.server_port}")) as client:
            yield client
    finally:
        server.shutdown()
        server.server_close()


def test_a_broken_stream_goes_on_after_the_last_event() -> None:
    Breaking.asked.clear()
    with served(Breaking) as client:
        events = list(client.events("/jobs/x/events"))
    assert [event.data["n"] for event in events] == [1, 2, 3]
    assert Breaking.asked == [None, "1", "2"]


def test_events_are_read_as_the_standard_has_them() -> None:
    lines = ["id: 7", "data: {}", "", ": comment", "retry: 250", "", "data: [1]", ""]
    assert [(event and (event.id, event.data), retry) for event, retry in parsed_events(lines)] == [
        (("7", {}), None),
        (None, 0.25),
        (("7", [1]), None),
    ]


def test_no_service_is_told_with_its_address() -> None:
    with (
        Client(RemoteTransport("http://127.0.0.1:9")) as client,
        pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"),
    ):
        client.get("/jobs")


@pytest.mark.parametrize("typed", ["..", "a/b", "a?b=c", "a b"])
def test_no_name_reaches_into_another_path(typed: str) -> None:
    steps = path_of(typed, "trials", 3).split("/")
    assert len(steps) == 5
    assert "?" not in steps[2]


# ---- the app inside the process ------------------------------------------------------------------------------------


async def echoing(scope: Any, receive: Any, send: Any) -> None:
    """An app with a path for each mistake that a transport can make."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    if scope["path"] == "/error":
        raise RuntimeError("before the answer")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b"first\n", "more_body": True})
        assert (await receive())["type"] == "http.request"
        await asyncio.wait_for(receive(), 30)
        return
    message = await receive()
    said = scope["query_string"] + b"|" + message["body"]
    await send({"type": "http.response.body", "body": said})


@pytest.fixture
def local() -> Iterator[LocalTransport]:
    transport = LocalTransport(echoing, "http://local")
    yield transport
    transport.close()


def test_a_request_reaches_the_app_whole(local: LocalTransport) -> None:
    with closing(local.send(Request("POST", "/?a=b", body=b"body"))) as answer:
        assert b"".join(answer.chunks()) == b"a=b|body"


def test_a_stream_is_read_while_it_goes_on(local: LocalTransport) -> None:
    with closing(local.send(Request("GET", "/stream"))) as answer:
        assert next(answer.chunks()) == b"first\n"


def test_an_error_of_the_app_is_not_swallowed(local: LocalTransport) -> None:
    with pytest.raises(RuntimeError, match="before the answer"):
        local.send(Request("GET", "/error"))


def test_an_app_that_does_not_start_is_told() -> None:
    async def broken(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        raise OSError("no database")

    with pytest.raises(OSError, match="no database"):
        LocalTransport(broken, "http://local")


# ---- files ---------------------------------------------------------------------------------------------------------


class Files(BaseHTTPRequestHandler):
    """A file whose name tries to leave its folder, and a problem."""

    def do_GET(self) -> None:
        if self.path.endswith("/missing"):
            self.send_response(404)
            self.end_headers()
            self.wfile.write(b'{"detail": "no such job", "errors": []}')
            return
        self.send_response(200)
        self.send_header("Content-Disposition", 'attachment; filename="../../evil.csv"')
        self.end_headers()
        self.wfile.write(b"content")

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


def test_a_download_stays_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    with served(Files) as client:
        written = client.download("/file", folder)
    assert written == folder / "evil.csv"
    assert written.read_text() == "content"
    assert [path.name for path in folder.iterdir()] == ["evil.csv"]


def test_a_download_that_is_refused_leaves_no_file(tmp_path: Path) -> None:
    with served(Files) as client, pytest.raises(ProblemReceived, match="no such job"):
        client.download("/missing", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []

"""Requests over the network: credentials, certificates, proxies, streams, and services that misbehave."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from api.cli.client import Client
from api.cli.exits import ProblemReceived, Unreachable
from api.cli.remote import RemoteTransport
from api.cli.transport import ConnectionLost, Request

LARGE_BYTES = 5_000_000


class Service(BaseHTTPRequestHandler):
    """Answers each path in a different way, and records the requests."""

    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        name = self.path.partition("?")[0].rpartition("/")[2]
        getattr(self, f"send_{name}", self.send_document)()

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def send_document(self) -> None:
        self._send(200, b'{"fine": true}')

    def send_refused(self) -> None:
        self._send(422, b'{"detail": "not so", "errors": [{"pointer": "/budget", "message": "is missing"}]}')

    def send_gateway(self) -> None:
        self._send(502, b"<html>no upstream</html>")

    def send_moved(self) -> None:
        self._send(308, b"")

    def send_empty(self) -> None:
        self.send_response(204)
        self.end_headers()

    def send_large(self) -> None:
        self._send(200, b"x" * LARGE_BYTES)

    def send_short(self) -> None:
        self.close_connection = True
        self._send(200, b"x" * 10, announced=20)

    def send_stream(self) -> None:
        """Send a chunk, and end the stream when the client has read it."""
        self._start_chunks()
        self._send_chunk(b"first\n")
        assert self.server.was_read.wait(30)
        self._send_chunk(b"last\n")
        self._send_chunk(b"")

    def send_cut(self) -> None:
        """Close the connection in the middle of a chunked body."""
        self._start_chunks()
        self._send_chunk(b"first\n")
        self.close_connection = True

    def send_silence(self) -> None:
        assert self.server.was_read.wait(30)
        self.close_connection = True

    def _send(self, status: int, body: bytes, announced: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        self.end_headers()
        self.wfile.write(body)

    def _start_chunks(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


class Proxy(Service):
    """Answers requests itself, and opens tunnels to the server at `target` whatever the host."""

    target: int

    def do_CONNECT(self) -> None:
        self.server.requests.append((f"CONNECT {self.path}", dict(self.headers)))
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(("127.0.0.1", self.target)) as upstream:
            back = threading.Thread(target=_copy, args=(upstream, self.connection))
            back.start()
            _copy(self.connection, upstream)
            back.join()
        self.close_connection = True


def _copy(source: socket.socket, destination: socket.socket) -> None:
    """Copy bytes until the source ends."""
    try:
        while data := source.recv(1 << 16):
            destination.sendall(data)
        destination.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side closed the connection


class Recorder(ThreadingHTTPServer):
    """A server that keeps the requests that it received."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self.was_read = threading.Event()

    def handle_error(self, *_: Any) -> None:
        """Print nothing: clients that go away are part of the tests."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[Recorder]:
    server = Recorder(handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.was_read.set()
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Recorder]:
    with serving(Service) as recorder:
        yield recorder


def address_of(server: Recorder, user: str = "", scheme: str = "http") -> str:
    return f"{scheme}://{user}127.0.0.1:{server.server_port}"


def client_of(server: Recorder, token: str | None = None) -> Client:
    return Client(RemoteTransport(address_of(server)), token)


def fetched(address: str, target: str = "/", token: str | None = None) -> Any:
    with Client(RemoteTransport(address), token) as client:
        return client.get(target)


# ---- requests and answers ------------------------------------------------------------------------------------------


def test_a_path_prefix_of_the_address_is_kept(server: Recorder) -> None:
    assert fetched(f"{address_of(server)}/behind/é/", "/jobs") == {"fine": True}
    assert server.requests[0][0] == "/behind/%C3%A9/api/v1/jobs"


def test_the_token_is_sent_as_a_bearer_token(server: Recorder) -> None:
    fetched(address_of(server), token="secret")
    assert server.requests[0][1]["Authorization"] == "Bearer secret"


def test_user_and_password_of_the_address_win_over_the_token(server: Recorder) -> None:
    fetched(address_of(server, "us%40er:pw@"), token="secret")
    assert server.requests[0][1]["Authorization"] == "Basic dXNAZXI6cHc="
    assert server.requests[0][1]["Host"] == f"127.0.0.1:{server.server_port}"


def test_a_post_sends_its_document(server: Recorder) -> None:
    with client_of(server) as client:
        assert client.post("/jobs", {"name": "é"}, key="k") == {"fine": True}
        assert client.post("/jobs/x:pause") == {"fine": True}
    assert server.bodies == [b'{"name":"\\u00e9"}', b""]
    assert [headers.get("Idempotency-Key") for _, headers in server.requests] == ["k", None]


def test_an_empty_answer_is_no_document(server: Recorder) -> None:
    with client_of(server) as client:
        assert client.post("/empty") is None


def test_a_problem_keeps_its_faults(server: Recorder) -> None:
    with pytest.raises(ProblemReceived) as caught:
        fetched(address_of(server), "/refused")
    assert caught.value.status == 422
    assert caught.value.lines() == ["/budget: is missing"]


@pytest.mark.parametrize(("path", "text"), [("/gateway", "HTTP 502 Bad Gateway"), ("/moved", "HTTP 308 Permanent")])
def test_an_error_without_a_problem_document_is_named_by_its_status(server: Recorder, path: str, text: str) -> None:
    with pytest.raises(ProblemReceived, match=text):
        fetched(address_of(server), path)


def test_several_threads_send_at_the_same_time(server: Recorder) -> None:
    with client_of(server) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: client.get(f"/{number}"), range(40)))
    assert answers == [{"fine": True}] * 40
    assert len({path for path, _ in server.requests}) == 40


# ---- streams and downloads -----------------------------------------------------------------------------------------


def test_a_stream_is_read_while_the_service_still_sends(server: Recorder) -> None:
    with closing(RemoteTransport(address_of(server)).send(Request("GET", "/stream"))) as answer:
        chunks = answer.chunks()
        assert next(chunks) == b"first\n"
        server.was_read.set()
        assert list(chunks) == [b"last\n"]


def test_a_large_file_arrives_whole(server: Recorder, tmp_path: Path) -> None:
    with client_of(server) as client:
        written = client.download("/large", tmp_path / "file")
    assert written.stat().st_size == LARGE_BYTES


@pytest.mark.parametrize("path", ["/short", "/cut"])
def test_a_broken_download_leaves_no_file(server: Recorder, path: str, tmp_path: Path) -> None:
    with client_of(server) as client, pytest.raises(Unreachable, match="broke off"):
        client.download(path, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_document_is_an_unreachable_service(server: Recorder) -> None:
    with pytest.raises(Unreachable, match="broke off"):
        fetched(address_of(server), "/short")


def test_a_silent_service_is_given_up(server: Recorder) -> None:
    with pytest.raises(ConnectionLost, match="timed out"):
        RemoteTransport(address_of(server)).send(Request("GET", "/silence", timeout_seconds=0.2))


@pytest.mark.parametrize(
    "address",
    ["example", "localhost:8700", "ftp://example.org", "http://", "http://[::1", "http://x:port", "http://a..b"],
)
def test_a_wrong_address_is_an_unreachable_service(address: str) -> None:
    with pytest.raises(Unreachable, match="no service answers"):
        fetched(address)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(Unreachable) as caught:
        fetched("http://user:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)


# ---- certificates --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and service.test, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: it makes the certificate")
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=service.test", "-addext", "subjectAltName=DNS:service.test,IP:127.0.0.1"]
    files = ["-keyout", str(path.with_name("key.pem")), "-out", str(path)]
    subprocess.run([openssl, *kind, *names, *files], check=True, capture_output=True)
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Recorder]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with serving(Service, context) as recorder:
        yield recorder


def test_a_self_signed_certificate_is_refused(secure: Recorder) -> None:
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        fetched(address_of(secure, scheme="https"), token="secret")
    assert secure.requests == []


def test_a_certificate_that_the_user_trusts_is_accepted(
    secure: Recorder, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetched(address_of(secure, scheme="https")) == {"fine": True}


def test_a_certificate_for_another_name_is_refused(
    secure: Recorder, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        fetched(f"https://localhost:{secure.server_port}")


# ---- proxies -------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A proxy that is set in the environment."""
    with serving(Proxy) as recorder:
        monkeypatch.setenv("HTTP_PROXY", address_of(recorder, "me:pw@"))
        monkeypatch.setenv("HTTPS_PROXY", f"me:pw@127.0.0.1:{recorder.server_port}")
        yield recorder


def test_a_proxy_forwards_requests_to_other_machines(proxy: Recorder) -> None:
    assert fetched("http://user:x@service.test:81/pre", "/jobs", token="secret") == {"fine": True}
    path, headers = proxy.requests[0]
    assert path == "http://service.test:81/pre/api/v1/jobs"
    assert headers["Host"] == "service.test:81"
    assert headers["Proxy-Authorization"] == "Basic bWU6cHc="
    assert headers["Authorization"] == "Basic dXNlcjp4"


def test_a_proxy_tunnels_encrypted_requests(
    proxy: Recorder, secure: Recorder, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Proxy, "target", secure.server_port, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetched("https://service.test", "/jobs", token="secret") == {"fine": True}
    path, headers = proxy.requests[0]
    assert path == "CONNECT service.test:443"
    assert headers["Proxy-Authorization"] == "Basic bWU6cHc="
    assert "Authorization" not in headers
    path, headers = secure.requests[0]
    assert path == "/api/v1/jobs"
    assert headers["Authorization"] == "Bearer secret"
    assert "Proxy-Authorization" not in headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_without_the_proxy(host: str, proxy: Recorder, server: Recorder) -> None:
    assert fetched(f"http://{host}:{server.server_port}") == {"fine": True}
    assert proxy.requests == []


def test_hosts_in_no_proxy_are_reached_directly(proxy: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "invalid")
    with pytest.raises(Unreachable):
        fetched("http://user:x@service.invalid")
    assert proxy.requests == []


def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:secret@127.0.0.1:9")
    with pytest.raises(Unreachable, match="socks5://127") as caught:
        fetched("http://service.test")
    assert "secret" not in str(caught.value)

"""Client: searchctl's side of the REST interface, whether a service runs or the API runs in this process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from api.cli.exits import ProblemReceived, Unreachable
from api.cli.transport import Answer, ConnectionLost, Request, Transport

PREFIX = "/api/v1"
_STREAM_SECONDS = 45.0
"""A stream is pinged every 15 s: silence for longer means that the connection is gone."""
_PAGE = 1000
_ATTEMPTS = 30
_LIMITED = 429
_TRIES, _LONGEST_WAIT_SECONDS = 4, 15
"""A request beyond a limit is not carried out: it is sent again if the service says that it need not wait long."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """A message of an event stream."""

    id: str | None
    data: Mapping[str, Any]


class Client:
    """Requests to the service: an error status raises ProblemReceived, no answer raises Unreachable."""

    def __init__(self, transport: Transport, token: str | None = None, *, is_local: bool = False) -> None:
        """Talk to a service with a bearer token; `is_local`: the service is this process, and runs no jobs."""
        self.is_local = is_local
        self._transport = transport
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    @property
    def address(self) -> str:
        return self._transport.address

    # ---- requests --------------------------------------------------------------------------------------------------

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the document at a path."""
        return self._document(Request("GET", _target(path, parameters)))

    def post(self, path: str, document: Any = None, *, key: str | None = None, **parameters: Any) -> Any:
        """Send a document and return the answer, None if it is empty; `key` makes the request safe to repeat."""
        headers = {"Idempotency-Key": key} if key else {}
        body = None
        if document is not None:
            body = json.dumps(document, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        return self._document(Request("POST", _target(path, parameters), headers, body))

    def delete(self, path: str) -> None:
        """Delete the resource at a path."""
        self._document(Request("DELETE", _target(path, {})))

    def items(self, path: str, *, limit: int | None = None, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, at most `limit`, page after page."""
        token: str | None = None
        remaining = limit
        while remaining is None or remaining > 0:
            page = self.get(path, page_size=min(_PAGE, remaining or _PAGE), page_token=token, **parameters)
            yield from page["items"]
            remaining = None if remaining is None else remaining - len(page["items"])
            token = page.get("next_page_token")
            if token is None:
                return

    def download(self, path: str, destination: Path, **parameters: Any) -> Path:
        """Write a file of the service to `destination` atomically, and return its path.

        If `destination` is a folder, the service names the file. A broken download leaves no file.
        """
        with self._answer(Request("GET", _target(path, parameters))) as answer:
            target = destination / _file_name(answer) if destination.is_dir() else destination
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.partial")
            try:
                with partial.open("wb") as file:
                    for chunk in answer.chunks():
                        file.write(chunk)
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
        return target

    def events(self, path: str, **parameters: Any) -> Iterator[ServerEvent]:
        """Yield events as they happen, until the service ends the stream; after a lost connection, resume."""
        last: str | None = None
        wait_seconds, attempts = 1.0, 0
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            request = Request("GET", _target(path, parameters), headers, timeout_seconds=_STREAM_SECONDS)
            try:
                with self._answer(request) as answer:
                    for event, retry in parsed_events(_lines(answer.chunks())):
                        wait_seconds, attempts = retry or wait_seconds, 0
                        if event is not None:
                            last = event.id or last
                            yield event
                    return
            except Unreachable as error:
                attempts += 1
                if attempts > _ATTEMPTS:
                    raise Unreachable(f"the service at {self.address} went away and did not come back") from error
                time.sleep(wait_seconds)

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _document(self, request: Request) -> Any:
        with self._answer(request) as answer:
            body = b"".join(answer.chunks())
        return json.loads(body) if body else None

    @contextmanager
    def _answer(self, request: Request) -> Iterator[Answer]:
        """Yield the answer to a request. Raises ProblemReceived; Unreachable, also if the connection breaks later."""
        headers = {"Accept": "*/*", **self._headers, **request.headers}
        answer = self._sent(replace(request, target=PREFIX + request.target, headers=headers))
        try:
            if not 200 <= answer.status < 300:
                raise ProblemReceived(answer.status, _problem(answer))
            yield answer
        except ConnectionLost as error:
            raise Unreachable(f"the service at {self.address} broke off its answer: {error}") from error
        finally:
            answer.close()


    def _sent(self, request: Request) -> Answer:
        """Send a request. If the limit of requests per minute is reached, wait for a while and send it again."""
        for tries_left in reversed(range(_TRIES)):
            try:
                answer = self._transport.send(request)
            except ConnectionLost as error:
                message = f"no service answers at {self.address}: {error}. Start one: searchctl serve"
                raise Unreachable(message) from error
            seconds = answer.header("retry-after") or "" if answer.status == _LIMITED else ""
            if not (tries_left and seconds.isdecimal() and int(seconds) <= _LONGEST_WAIT_SECONDS):
                break
            answer.close()
            time.sleep(int(seconds))
        return answer


def parsed_events(lines: Iterable[str]) -> Iterator[tuple[ServerEvent | None, float | None]]:
    """Yield the messages of an event stream (WHATWG HTML, 9.2.6), and (None, seconds) for each new time to wait."""
    identifier: str | None = None
    data: list[str] = []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield ServerEvent(identifier, json.loads("\n".join(data))), None
            data = []
        elif field == "id":
            identifier = value
        elif field == "data":
            data.append(value)
        elif field == "retry" and value.isdigit():
            yield None, int(value) / 1000


def path_of(*steps: str | int) -> str:
    """Return `/jobs/...` for names that a user typed. Each step is quoted, so that none reaches into another path."""
    return "/jobs/" + "/".join(quote(str(step), safe="") for step in steps)


def _target(path: str, parameters: Mapping[str, Any]) -> str:
    """Return a path with its query; parameters that are None are left out."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{path}?{query}" if query else path


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the complete lines of a stream, each as soon as it has arrived."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode()


def _problem(answer: Answer) -> Mapping[str, Any]:
    try:
        document = json.loads(b"".join(answer.chunks()))
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {"title": f"HTTP {answer.status} {answer.reason}"}


def _file_name(answer: Answer) -> str:
    """Return the file name that the service suggests, never a path."""
    header = Message()
    header["Content-Disposition"] = answer.header("Content-Disposition") or ""
    return Path(header.get_filename() or "export").name

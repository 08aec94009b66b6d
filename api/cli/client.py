"""Client: searchctl's side of the REST interface, the same whether a service runs or not.

The service is looked for at the address that was set (`SEARCHSVC_URL`); otherwise where `searchctl serve` with the same
data folder says that it listens; otherwise the requests go to the same app inside this process, on the local store.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from api.cli.exits import ProblemReceived, Unreachable
from api.cli.local_transport import LocalTransport
from searchsvc.service.service import Service
from searchsvc.settings import Settings

PREFIX = "/api/v1"
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_STREAM_TIMEOUT = httpx.Timeout(45.0, connect=5.0)
"""A stream is pinged every 15 s: silence for longer means that the connection is gone."""
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One message of an event stream."""

    id: str | None
    data: Mapping[str, Any]


class Client:
    """Requests to the service; answers that are no success raise ProblemReceived, no answer raises Unreachable."""

    def __init__(self, http: httpx.Client, *, service: Service | None = None) -> None:
        """`service`: the one that the app in this process stands on, and that ends with it."""
        self._http = http
        self._service = service

    @property
    def is_local(self) -> bool:
        """Whether the app runs inside this process: then nothing but this process answers."""
        return self._service is not None

    @classmethod
    def open(cls, settings: Settings) -> Client:
        """The running service, or the app in this process."""
        address = settings.url or running_address(settings) or foreign_address(settings)
        if address is None:
            return cls.inside(open_service(settings))
        return cls(httpx.Client(base_url=address, headers=_authorization(settings), timeout=_TIMEOUT))

    @classmethod
    def inside(cls, service: Service) -> Client:
        """The app in this process, over this service; ends it when the client is closed."""
        from api.rest.app import create_app

        settings = service.settings
        transport = LocalTransport(create_app(service, settings=settings))
        headers = {"Authorization": f"Bearer {service.access.local_token()}"}
        address = f"http://127.0.0.1:{settings.port}"
        return cls(
            httpx.Client(transport=transport, base_url=address, headers=headers, timeout=_TIMEOUT), service=service
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        if self._service is not None:
            self._service.store.close()

    @property
    def address(self) -> str:
        return str(self._http.base_url).rstrip("/")

    # ---- requests --------------------------------------------------------------------------------------------------

    def get(self, path: str, **parameters: Any) -> Any:
        """The document at `path`."""
        return self._answer("GET", path, params=_present(parameters)).json()

    def post(self, path: str, document: Any = None, *, key: str | None = None, **parameters: Any) -> Any:
        """The answer to `document`; `key` makes the request safe to repeat."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self._answer("POST", path, json=document, params=_present(parameters), headers=headers)
        return answer.json() if answer.content else None

    def delete(self, path: str) -> None:
        self._answer("DELETE", path)

    def items(self, path: str, *, limit: int | None = None, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The items of a list, page after page, `limit` at most."""
        token: str | None = None
        left = limit
        while left is None or left > 0:
            page = self.get(path, page_size=min(_PAGE, left or _PAGE), page_token=token, **parameters)
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            token = page.get("next_page_token")
            if token is None:
                return

    def download(self, path: str, destination: Path, **parameters: Any) -> Path:
        """A file of the service, written to `destination` in one step; into a folder under the name it has there."""
        with self._stream("GET", path, params=_present(parameters)) as answer:
            target = destination / _file_name(answer) if destination.is_dir() else destination
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.partial")
            with partial.open("wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
            partial.replace(target)
        return target

    def events(self, path: str, **parameters: Any) -> Iterator[ServerEvent]:
        """Events as they happen, until the service ends the stream; a lost connection is taken up where it broke."""
        last: str | None = None
        wait, attempts = 1.0, 0
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            try:
                with self._stream("GET", path, params=parameters, headers=headers, timeout=_STREAM_TIMEOUT) as answer:
                    for event, retry in parsed_events(answer.iter_lines()):
                        wait, attempts = retry or wait, 0
                        if event is not None:
                            last = event.id or last
                            yield event
                    return
            except (httpx.TransportError, Unreachable) as error:
                attempts += 1
                if attempts > 30:
                    raise Unreachable(f"the service at {self.address} went away and did not come back") from error
                time.sleep(wait)

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, PREFIX + path, **options)
        except httpx.TransportError as error:
            raise Unreachable(f"no service answers at {self.address}: {error}. Start one: searchctl serve") from error
        if not answer.is_success:
            raise ProblemReceived(answer.status_code, _problem(answer))
        return answer

    def _stream(self, method: str, path: str, **options: Any) -> _Streamed:
        return _Streamed(self._http, method, PREFIX + path, options)


class _Streamed:
    """An answer that is read piece by piece."""

    def __init__(self, http: httpx.Client, method: str, path: str, options: dict[str, Any]) -> None:
        self._context = http.stream(method, path, **options)

    def __enter__(self) -> httpx.Response:
        answer = self._context.__enter__()
        if not answer.is_success:
            answer.read()
            self._context.__exit__(None, None, None)
            raise ProblemReceived(answer.status_code, _problem(answer))
        return answer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)


def parsed_events(lines: Iterable[str]) -> Iterator[tuple[ServerEvent | None, float | None]]:
    """The messages of an event stream (WHATWG HTML, 9.2.6); (None, seconds) where it says how long to wait."""
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
    """`/jobs/...` from what a user typed: no step can reach into another."""
    return "/jobs/" + "/".join(quote(str(step), safe="") for step in steps)


# ---- where the service is ------------------------------------------------------------------------------------------


def address_path(settings: Settings) -> Path:
    """Where `searchctl serve` leaves its address for others with the same data folder."""
    return settings.data_dir / "address"


def open_service(settings: Settings) -> Service:
    """The use cases on the local store, which is made where there is none."""
    from searchsvc.store import Store

    settings.prepare()
    if settings.database_url.startswith("sqlite"):
        return Service(Store.create(settings.database_url), settings)
    return Service(Store.open(settings.database_url, wait_seconds=settings.database_wait_seconds), settings)


def running_address(settings: Settings) -> str | None:
    """The address of the service of this data folder, where one listens."""
    try:
        address = address_path(settings).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return address if listens(address) else None


def foreign_address(settings: Settings) -> str | None:
    """Where a service of another data folder listens on this machine, for whoever was given a token for it."""
    return settings.service_url if settings.token and listens(settings.service_url) else None


def listens(address: str) -> bool:
    """Whether anything accepts connections there."""
    try:
        url = httpx.URL(address)
        with socket.create_connection((url.host, url.port or 80), timeout=1.0):
            return True
    except (OSError, httpx.InvalidURL):
        return False


def _authorization(settings: Settings) -> dict[str, str]:
    from searchsvc.service.system.tokens import read_local_token

    secret = settings.token.get_secret_value() if settings.token else read_local_token(settings)
    return {"Authorization": f"Bearer {secret}"} if secret else {}


def _present(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {"title": f"HTTP {answer.status_code} {answer.reason_phrase}"}


def _file_name(answer: httpx.Response) -> str:
    """The last part of the name that the service gives the file: never a path."""
    from email.message import Message

    header = Message()
    header["Content-Disposition"] = answer.headers.get("Content-Disposition", "")
    return Path(header.get_filename() or "export").name

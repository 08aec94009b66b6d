"""The service inside this process: its use cases on the local store, and the REST interface over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from api.cli.client import Client
from api.cli.local_transport import LocalTransport
from searchsvc.service.service import Service
from searchsvc.service.system.children import ChildProcesses
from searchsvc.settings import Settings
from searchsvc.store import Store, schema
from searchsvc.store.database import API_CONNECTIONS


def open_service(
    settings: Settings, *, connections: int = API_CONNECTIONS, children: ChildProcesses | None = None
) -> Service:
    """Return the use cases on the local store, with at most `connections`; a SQLite file is created if needed."""
    settings.prepare()
    url, wait = settings.database_url, settings.database_wait_seconds
    if url.startswith("sqlite"):
        schema.upgrade(url, wait_seconds=wait)
    return Service(Store.open(url, wait_seconds=wait, connections=connections), settings, children=children)


@contextmanager
def opened_service(
    settings: Settings, *, connections: int = API_CONNECTIONS, has_children: bool = False
) -> Iterator[Service]:
    """Yield the use cases on the local store, and close the store at the end of the block.

    `has_children`: heavy work is done in child processes, which give their memory back.
    """
    children = ChildProcesses(settings) if has_children else None
    service = open_service(settings, connections=connections, children=children)
    try:
        yield service
    finally:
        if children is not None:
            children.close()
        service.store.close()


def client_of(service: Service) -> Client:
    """Return a client of the API in this process; closing the client closes the service's store."""
    from api.rest.app import create_app  # FastAPI: `searchctl run` loads it while its driver starts

    settings = service.settings
    app = create_app(service, settings=settings)
    transport = LocalTransport(app, f"http://127.0.0.1:{settings.port}", on_close=service.store.close)
    return Client(transport, service.access.local_token(), is_local=True)

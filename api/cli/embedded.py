"""The service inside this process: its use cases on the local store, and the REST interface over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from api.cli.client import Client
from api.cli.local_transport import LocalTransport
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store


def open_service(settings: Settings) -> Service:
    """Return the use cases on the local store, which is created if there is none."""
    settings.prepare()
    if settings.database_url.startswith("sqlite"):
        return Service(Store.create(settings.database_url), settings)
    return Service(Store.open(settings.database_url, wait_seconds=settings.database_wait_seconds), settings)


@contextmanager
def opened_service(settings: Settings) -> Iterator[Service]:
    """Yield the use cases on the local store, and close the store at the end of the block."""
    service = open_service(settings)
    try:
        yield service
    finally:
        service.store.close()


def client_of(service: Service) -> Client:
    """Return a client of the API in this process; closing the client closes the service's store."""
    from api.rest.app import create_app  # FastAPI: `searchctl run` loads it while its driver starts

    settings = service.settings
    app = create_app(service, settings=settings)
    transport = LocalTransport(app, f"http://127.0.0.1:{settings.port}", on_close=service.store.close)
    return Client(transport, service.access.local_token(), is_local=True)

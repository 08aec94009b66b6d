"""The program of a child process: calls use cases for the service that started it (`service.system.children`).

`python -m searchsvc.service.child DESCRIPTOR IDLE_SECONDS` reads calls from an inherited connection and sends their
results. It ends when it was idle for the given time, and when the connection is closed.
"""

from __future__ import annotations

import sys
import traceback
from multiprocessing.connection import Connection
from operator import attrgetter
from typing import Any

from searchsvc.errors import SearchsvcError
from searchsvc.service.service import Service
from searchsvc.service.system.children import ChildFailure
from searchsvc.settings import Settings
from searchsvc.store import Store


def main(descriptor: int, idle_seconds: float) -> None:
    """Serve calls until nobody needs them."""
    settings = Settings()
    store = Store.open(settings.database_url, wait_seconds=settings.database_wait_seconds, connections=1)
    service = Service(store, settings)
    with Connection(descriptor) as connection:
        try:
            while connection.poll(idle_seconds):
                connection.send(_answer(service, *connection.recv()))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass  # the service has ended
    store.close()


def _answer(service: Service, call: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Return the result of a use case, or its error."""
    try:
        return attrgetter(call)(service)(*arguments, **named)
    except SearchsvcError as error:
        return error
    except Exception:  # noqa: BLE001 - the service logs it and answers 500
        return ChildFailure(traceback.format_exc())


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))

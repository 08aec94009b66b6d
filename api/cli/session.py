"""Session: the settings and the client of a call of searchctl."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import typer

from api.cli.addresses import service_address
from api.cli.client import Client
from api.cli.remote import RemoteTransport
from searchsvc.settings import Settings


@dataclass(slots=True)
class Session:
    """A call of searchctl."""

    overrides: dict[str, Any] = field(default_factory=dict)
    """Settings given as options; None for options that were not given."""

    def settings(self, **more: Any) -> Settings:
        """Read the settings: options first, then the environment, then defaults. Raises InvalidInput."""
        options = {name: value for name, value in {**self.overrides, **more}.items() if value is not None}
        return Settings(**options)

    def client(self) -> Client:
        """Connect to the service."""
        return connect(self.settings())


def connect(settings: Settings) -> Client:
    """Connect to the running service; if there is none, run the API in this process on the local store."""
    address = service_address(settings)
    if address is None:
        from api.cli.embedded import client_of, open_service  # the service: heavy, and not needed if one runs

        return client_of(open_service(settings))
    return Client(RemoteTransport(address), settings.bearer_token())


def session(ctx: typer.Context) -> Session:
    """Return the session, with the options given before the command."""
    return Session(ctx.find_root().obj)

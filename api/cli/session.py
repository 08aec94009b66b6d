"""Session: the settings and the client of a call of searchctl."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Any

import typer
from typer._click.globals import get_current_context

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


_REPEATED = {"data_dir": "--data-dir", "url": "--url"}


def pasted(*words: str) -> str:
    """Return a searchctl command line that finds the same service as the command that prints it, quoted for a shell.

    It repeats the options that were given before the command; whatever came from the environment is still there.
    """
    context = get_current_context(silent=True)
    root = context.find_root() if context is not None else None
    options = [
        part
        for name, option in _REPEATED.items()
        if root is not None and (source := root.get_parameter_source(name)) and source.name == "COMMANDLINE"
        for part in (option, str(root.params[name]))
    ]
    return shlex.join(["searchctl", *options, *words])

"""Session: what the options before the command say, and what commands build from it only when they need it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from api.cli.client import Client
    from searchsvc.settings import Settings


@dataclass(slots=True)
class Session:
    """One call of searchctl."""

    overrides: dict[str, Any] = field(default_factory=dict)
    """Settings given as options; None where not."""

    def settings(self, **more: Any) -> Settings:
        """The settings: options first, then the environment, then defaults. Raises InvalidInput."""
        from pydantic import ValidationError

        from searchsvc.errors import Fault, InvalidInput
        from searchsvc.settings import Settings

        given = {name: value for name, value in {**self.overrides, **more}.items() if value is not None}
        try:
            return Settings(**given)
        except ValidationError as error:
            faults = [Fault("/" + "/".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
            raise InvalidInput(faults) from None

    def client(self) -> Client:
        """Requests to the service."""
        from api.cli.client import Client

        return Client.open(self.settings())

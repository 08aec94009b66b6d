"""Reports of controllers about themselves."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, delete, insert, select

from searchsvc.domain import ControllerReport
from searchsvc.store.base import StoreBase
from searchsvc.store.rows import row_of
from searchsvc.store.tables import controllers

_RETENTION_SECONDS = 3600.0
"""A report is removed if its controller has not renewed it for so long."""


class ControllerOperations(StoreBase):
    """The part of the Store for the reports of controllers."""

    def report_controller(self, report: ControllerReport) -> None:
        """Replace the controller's report, with the current time as `seen_at`; remove reports of dead controllers."""

        def transaction(connection: Connection) -> None:
            now = self._now(connection)
            is_old = controllers.c.seen_at < now - _RETENTION_SECONDS
            connection.execute(delete(controllers).where(is_old | (controllers.c.holder == report.holder)))
            connection.execute(insert(controllers), row_of(replace(report, seen_at=now)))

        self._database.write(transaction)

    def remove_controller(self, holder: str) -> None:
        """Remove the report of a controller that ends."""
        statement = delete(controllers).where(controllers.c.holder == holder)
        self._database.write(lambda connection: connection.execute(statement))

    def controllers(self) -> list[ControllerReport]:
        """Return the reports of controllers, the controller that started first at the front."""
        query = select(controllers).order_by(controllers.c.started_at, controllers.c.holder)
        return self._records(ControllerReport, query)

    def now(self) -> float:
        """Return the current time of the clock by which reports and leases are dated."""
        return self._database.read(self._now)

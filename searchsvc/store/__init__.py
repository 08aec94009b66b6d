"""Storage in SQL, the only truth: SQLite on one machine, PostgreSQL across several."""

from searchsvc.store import schema
from searchsvc.store.events import StoreStatistics
from searchsvc.store.jobs import Idempotency
from searchsvc.store.store import Store
from searchsvc.store.writer import JobWriter

__all__ = ["Idempotency", "JobWriter", "Store", "StoreStatistics", "schema"]

"""Storage in SQL, the only authoritative state: SQLite on a single machine, PostgreSQL across several."""

from searchsvc.store import schema
from searchsvc.store.events import StoreStatistics
from searchsvc.store.store import Store
from searchsvc.store.writer import JobWriter

__all__ = ["JobWriter", "Store", "StoreStatistics", "schema"]

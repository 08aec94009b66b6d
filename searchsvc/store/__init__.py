"""What is kept and where: SQL is the only truth. SQLite for one machine, PostgreSQL for more."""

from searchsvc.store import schema
from searchsvc.store.jobs import Idempotency
from searchsvc.store.reads import Statistics
from searchsvc.store.store import Store
from searchsvc.store.writer import JobWriter

__all__ = ["Idempotency", "JobWriter", "Statistics", "Store", "schema"]

"""Shared by tests and benchmarks: a separate PostgreSQL server, a running system, checks of its guarantees."""

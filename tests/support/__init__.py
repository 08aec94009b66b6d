"""What tests and benchmarks share: a PostgreSQL server of their own, a running system, what must hold of it."""

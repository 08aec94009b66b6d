"""Use cases: what can be done with jobs, by noun."""

"""Planning: turns a job spec into everything that a driver needs to run it."""

"""From a job spec to everything that a driver needs to run it."""

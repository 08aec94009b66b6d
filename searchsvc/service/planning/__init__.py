"""From a spec to everything that a driver needs to run it."""

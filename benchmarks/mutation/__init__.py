"""Mutants of the core, and whether the tests notice them."""

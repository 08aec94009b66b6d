"""Stopping rules: one file per rule, one table."""

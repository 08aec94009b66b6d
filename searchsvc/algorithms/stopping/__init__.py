"""Stopping rules: one file per rule, and one table. A new rule needs a file, a line in the table and a docs section."""

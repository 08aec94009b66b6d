"""Evaluators: each takes a predict function and yields (name, value); who calls them knows no metric."""

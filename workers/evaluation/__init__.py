"""Evaluators: each takes the outputs of a model and yields (name, value), so that the caller names no metric."""

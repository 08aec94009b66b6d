"""Exact costs of networks, vectorised over candidates."""

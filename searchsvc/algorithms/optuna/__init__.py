"""Samplers of Optuna: an adapter, and a module per method."""

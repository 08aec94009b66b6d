"""Samplers of Optuna, one file per method, behind one adapter."""

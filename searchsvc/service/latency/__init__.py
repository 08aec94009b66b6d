"""Measurement of latency tables."""

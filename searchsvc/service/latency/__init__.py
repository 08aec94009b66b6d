"""Measuring latency tables."""

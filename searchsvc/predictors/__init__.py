"""Learned estimates: what a candidate will measure, without training it."""

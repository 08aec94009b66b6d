"""Spaces of one-stage detectors."""

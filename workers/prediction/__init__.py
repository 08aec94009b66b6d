"""Predictions of trained models for images in files: a module per task."""

"""Predictions of trained models for images in files, one module per task."""

"""Datasets: one folder per task, one file per format."""

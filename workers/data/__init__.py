"""Datasets: a folder per task, a file per format."""

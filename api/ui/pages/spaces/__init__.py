"""The spaces page."""

"""The new-job page."""

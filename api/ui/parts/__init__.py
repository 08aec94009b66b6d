"""Widgets and formats that all pages use."""

"""Tests of the web pages that need no browser."""

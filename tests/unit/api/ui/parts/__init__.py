"""Tests of texts and numbers on pages."""

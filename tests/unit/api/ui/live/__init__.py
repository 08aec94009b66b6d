"""Tests of the live data of pages."""

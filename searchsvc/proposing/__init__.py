"""Proposing: from an algorithm to the next trial, by suggestion, hard constraints, duplicates, fallback and replay."""

"""Candidates predicted to be best, for new limits or another space."""

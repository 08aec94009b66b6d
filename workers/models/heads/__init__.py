"""Heads of detectors: from the maps of a neck to classes and boxes at every anchor."""

"""Reassessment of trials by other labels, and relabelling by people."""

"""Reassessment of trials with other labels, and relabelling by people."""

"""The job page, a module per panel."""
